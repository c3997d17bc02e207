# The service and the studio: no torch, no compiler, not root, and nothing to write outside of /runs, /state and /tmp.
#   docker build -t efficient-empathy .
#   docker compose up     (compose.yaml)
ARG PYTHON=python:3.11.13-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /source
# The constraints pin what is installed, and what builds the package.
ENV PIP_CONSTRAINT=/source/constraints.txt PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY pyproject.toml hatch_build.py README.md LICENSE constraints.txt ./
COPY recipes recipes
COPY src src
RUN python -m venv /opt/venv && /opt/venv/bin/python -m pip install ".[serve,language,personal]"
RUN ln -s "$(/opt/venv/bin/python -c 'from importlib.resources import files; print(files("efficient_empathy") / "assets" / "dialogues")')" /opt/dialogues

FROM ${PYTHON}
LABEL org.opencontainers.image.title="efficient-empathy" org.opencontainers.image.licenses="Apache-2.0 AND CC0-1.0 AND CC-BY-NC-4.0"
RUN groupadd --system --gid 10001 empathy \
    && useradd --system --uid 10001 --gid empathy --no-create-home --home-dir /tmp --shell /usr/sbin/nologin empathy \
    && install -d -o empathy -g empathy -m 700 /runs /state
COPY --from=build /opt /opt
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp XDG_STATE_HOME=/state PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /runs
VOLUME ["/runs", "/state"]
USER 10001:10001
EXPOSE 8322 8321
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8322/health', timeout=4)"]
ENTRYPOINT ["efficient-empathy"]
# Others reach it here, so it wants a token: EFFICIENT_EMPATHY_SERVICE_TOKEN, or --token-file.
CMD ["serve", "--host", "0.0.0.0"]
