// The interface, read from openapi.json: routes, what they take, what they give.
const make = (tag, text, cls) => Object.assign(document.createElement(tag), { textContent: text ?? "", className: cls ?? "" });
const document_ = await (await fetch("openapi.json")).json();
const named = (schema) => (schema?.$ref ? document_.components.schemas[schema.$ref.split("/").pop()] : schema);

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeOf).filter((t) => t !== "null").join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  return schema.format === "binary" ? "file" : [schema.type].flat().join(" or ");
}

function table(rows) {
  const made = make("table");
  made.append(...rows.map((cells) => {
    const row = make("tr");
    row.append(...cells.map((text, n) => make(n ? "td" : "th", text)));
    return row;
  }));
  return made;
}

function fields(schema) {
  const { properties = {}, required = [] } = named(schema) ?? {};
  return Object.entries(properties).map(([name, one]) => [name, typeOf(one), [one.description, required.includes(name) ? "(required)" : ""].filter(Boolean).join(" ")]);
}

document.title = document_.info.title;
document.getElementById("title").textContent = `${document_.info.title} ${document_.info.version}`;
document.getElementById("about").textContent = document_.info.description;
for (const [path, methods] of Object.entries(document_.paths)) {
  for (const [method, route] of Object.entries(methods)) {
    const part = make("details");
    part.append(make("summary", `${method.toUpperCase()} ${path}`), make("p", route.description));
    const given = (route.parameters ?? []).map((p) => [p.name, typeOf(p.schema), p.description ?? ""]);
    if (given.length) part.append(table(given));
    for (const [kind, { schema }] of Object.entries(route.requestBody?.content ?? {})) part.append(make("h2", kind), table(fields(schema)));
    for (const [status, answer] of Object.entries(route.responses)) {
      const schema = Object.values(answer.content ?? {})[0]?.schema;
      const rows = Number(status) < 300 ? fields(schema) : [];
      part.append(make("h2", `${status} ${answer.description}`));
      if (rows.length) part.append(table(rows));
    }
    document.getElementById("routes").append(part);
  }
}
