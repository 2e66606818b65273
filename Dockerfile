# A saved recommender on the network. See "In a container" in nbs/42h_apps.server.ipynb, and compose.yaml for PostgreSQL beside it.
# `docker build -t prodrec .`, then `docker run --user $(id -u) -p 8000:8000 -e PRODREC_API_KEY -v ./shop:/data prodrec`: serves what
# `prodrec index --out shop` made: the version in use of the folder ./shop

FROM python:3.12-slim AS build
WORKDIR /source
COPY settings.ini setup.py pyproject.toml MANIFEST.in README.md CHANGELOG.md LICENSE ./
COPY prodrec prodrec
RUN pip wheel --no-cache-dir --no-deps --wheel-dir dist .

FROM python:3.12-slim
# `--build-arg EXTRAS=serve,postgres,pgvector,cluster` is the image of deploy/compose.yaml.
ARG EXTRAS=serve,postgres
WORKDIR /app
COPY --from=build /source/dist dist
RUN pip install --no-cache-dir "$(echo dist/*.whl)[$EXTRAS]"
# Writable for whoever the container runs as; what is mounted here stays: the versions, and without PostgreSQL their database.
WORKDIR /
RUN mkdir -p -m 1777 data
WORKDIR /data
ENV PYTHONUNBUFFERED=1 PRODREC_CACHE=/tmp/prodrec PRODREC_PROGRESS=0 KERAS_HOME=/tmp/keras MPLCONFIGDIR=/tmp/matplotlib
# One processor answers as fast as several where requests come side by side; a GPU is not in this image.
ENV TF_CPP_MIN_LOG_LEVEL=3 TF_ENABLE_ONEDNN_OPTS=1 CUDA_VISIBLE_DEVICES=-1
# PRODREC_API_KEY is given when the container runs, and PRODREC_DATABASE, where it is not SQLite in /data; the server reads
# both from the environment (or from the files that PRODREC_API_KEY_FILE and PRODREC_DATABASE_FILE name), so that no password
# stands in the arguments of a process. PRODREC_HOSTS names the server where it is not called localhost.
ENV PRODREC_DATABASE=sqlite:///shop.sqlite PORT=8000
USER 10001:10001
EXPOSE 8000
VOLUME /data
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 CMD python -c "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/ready', timeout=4)"
CMD exec prodrec serve . --host 0.0.0.0 --port "$PORT"
