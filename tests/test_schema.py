"The server keeps to its own OpenAPI document, whatever is asked of it within that."

import dataclasses
import inspect
import io
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from prodrec import Recommender, audit, load_demo
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder

pytest.importorskip("fastapi", reason="`pip install prodrec[serve]` to test the server")
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving import KEY, serving

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
]
ASKED = settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def jpeg(colour) -> bytes:
    Image.new("RGB", (30, 40), colour).save(out := io.BytesIO(), "JPEG")
    return out.getvalue()


schemathesis.openapi.media_type(
    "image/jpeg", st.sampled_from([jpeg("red"), jpeg("white"), jpeg("navy")[:-20], b""])
)


class Guesses:
    "A classifier that has learned nothing."

    classes_, target = ["boots", "dress"], "category"

    def predict_proba(self, pictures) -> np.ndarray:
        return np.tile(np.float32([0.75, 0.25]), (len(pictures), 1))


@pytest.fixture(scope="module")
def served():
    catalog = audit(load_demo(80, seed=4)).clean()
    parts = {
        "image": ColorHistogram((20, 16)),
        "text": TfidfEmbedder(fields=("title",)),
        "classifier": Guesses(),
    }
    recommender = Recommender(**parts).fit(catalog)
    with serving(recommender, database="sqlite://", api_key="secret") as (url, _):
        yield url, schemathesis.openapi.from_url(f"{url}/openapi.json"), catalog.ids


# JSON lines are not made by schemathesis; the recommender is in memory, and knows no complements
BULK, NEVER = "POST /products", {"POST /reload", "GET /products/{id}/complements"}


def operations(schema) -> dict:
    found = {operation.ok().label: operation.ok() for operation in schema.get_all_operations()}
    return {label: operation for label, operation in found.items() if label != BULK}


def told(case, id: str, image: bytes):
    "The same question about what is there."
    if "id" in (case.path_parameters or {}):
        case.path_parameters["id"] = id
    if case.operation.label == "POST /feedback":
        case.body["id"] = id
    is_json = case.media_type == "application/json"
    if case.operation.label == "PUT /products/{id}":
        fields = {"title": "cotton tee", "price": 5}
        case.body = fields if is_json else {"fields": json.dumps(fields)}
    if case.operation.label == "POST /recommend":
        case.body = {"id": id, "k": 3, "weights": {"image": 1} if is_json else '{"image": 1}'}
    if case.operation.label == "POST /classify":
        case.body = {"image": image}


def answers(operation, ids: list[str]) -> set[int]:
    "The statuses of what is asked, which are checked against the document."
    seen = set()

    @ASKED
    @given(case=operation.as_strategy(), known=st.booleans(), id=st.sampled_from(ids))
    def ask(case, known, id):
        if known:
            told(case, id, jpeg("teal"))
        seen.add(case.call_and_validate(headers=KEY, checks=CHECKS).status_code)

    ask()
    return seen


def test_every_operation_answers_as_its_document_says(served):
    _, schema, ids = served
    statuses = {label: answers(operation, ids) for label, operation in operations(schema).items()}
    assert len(statuses) == 15
    silent = {label for label, s in statuses.items() if not any(200 <= code < 300 for code in s)}
    assert silent == NEVER


def test_what_the_document_does_not_allow_is_refused(served):
    _, schema, _ = served
    for operation in operations(schema).values():
        if operation.method.upper() == "GET" and not len(operation.query):
            continue  # there is nothing to get wrong

        @ASKED
        @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
        def ask(case):
            case.call_and_validate(headers=KEY, checks=[*CHECKS, negative_data_rejection])

        ask()


def test_everything_is_described(served):
    document = served[1].raw_schema
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], (path, method)
            assert all(p.get("description") for p in operation.get("parameters", [])), (
                path,
                method,
            )
            for kind in operation.get("requestBody", {}).get("content", {}).values():
                if "$ref" not in kind["schema"]:
                    assert kind["example"]  # JSON lines and CSV
                    continue
                name = kind["schema"]["$ref"].split("/")[-1]
                fields = document["components"]["schemas"][name].get("properties", {})
                assert not [n for n, f in fields.items() if not f.get("description")], (
                    path,
                    method,
                )
            for status, answer in operation["responses"].items():
                schemas = [c["schema"] for c in answer["content"].values()]
                assert schemas and all(schemas), (path, method, status)


# -- a further argument of questions is known everywhere, or a test says where it is forgotten


def filled(model) -> dict:
    "Return a value for each field of a schema that is not the one it has by default."
    found = {}
    for name in model.model_fields:
        for value in ("x", ["x"], {"price": 0.5}, 0.5, 7):
            try:
                model(**{name: value})
            except ValueError:
                continue
            found[name] = value
            break
    return found


def test_every_field_of_a_question_reaches_recommend():
    from prodrec.apps.schemas import QuestionBody, query_arguments

    given = filled(QuestionBody)
    assert set(given) == set(QuestionBody.model_fields)
    products = pd.DataFrame({"price": [0.5, 2.0]}, index=["a", "b"])
    query, options, offset = query_arguments(QuestionBody(**given), products)
    assert {*query, *options} == {*given} - {"offset"} and offset == given["offset"]


def test_a_query_and_its_schema_agree_about_what_may_be_asked():
    from prodrec.apps.schemas import QuestionBody
    from prodrec.recommend.query import Query

    wishes = {f.name for f in dataclasses.fields(Query)}
    arguments = set(inspect.signature(Recommender.recommend).parameters) - {"self", "former"}
    assert wishes == arguments
    of_a_form = {"image"}  # a part of the form, beside the fields
    in_python_alone = {"crop", "each"}
    assert {*QuestionBody.model_fields, *of_a_form} == wishes - in_python_alone | {"offset"}


def test_the_options_of_the_command_line_reach_recommend():
    from prodrec.apps.cli import parser
    from prodrec.apps.commands_shop import _asked
    from prodrec.recommend.query import Query

    args = parser().parse_args(["recommend", "shop", "--id", "1"])
    wishes = {f.name for f in dataclasses.fields(Query)} & set(vars(args))
    vars(args).update(dict.fromkeys(wishes, 0.5))
    assert {*_asked(args)} == wishes - {"k", "where"}  # which `recommend_products` reads itself
