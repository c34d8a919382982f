# The platform: one image, its roles are services (docker-compose.yml). docker build --tag shouwang:0.1.0 .
ARG PYTHON=python:3.11.17-slim-bookworm@sha256:0a310eeecf4e1f5a0743f9a6520c90c88d089c903ca5fd283f501e3a805f5f89

FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv /opt/shouwang
ENV PATH=/opt/shouwang/bin:$PATH
COPY requirements.lock ./
RUN python -m pip install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY examples/wangting examples/wangting
COPY core core
COPY devices devices
COPY ingest ingest
COPY detectors detectors
COPY alerts alerts
COPY grafana grafana
COPY console console
COPY shouwang shouwang
COPY deploy/outside_runtime.py deploy/
RUN python -m pip install --no-deps --no-build-isolation . \
    && python deploy/outside_runtime.py > outside.txt \
    && python -m pip uninstall --yes --quiet --requirement outside.txt
# the kernels' machine code, for the kind of processor that builds; another makes its own at its first start
WORKDIR /
RUN NUMBA_CACHE_DIR=/var/cache/shouwang python -m detectors.compiling

FROM ${PYTHON}
LABEL org.opencontainers.image.title="shouwang" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 shouwang \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/shouwang --shell /usr/sbin/nologin shouwang \
    && install --directory --owner=10001 --group=10001 --mode=0700 \
        /var/lib/shouwang /var/cache/shouwang /var/backups/shouwang /broker /grafana \
    && chmod 0750 /grafana
COPY --from=build /opt/shouwang /opt/shouwang
COPY --from=build --chown=10001:10001 /var/cache/shouwang /var/cache/shouwang
ENV PATH=/opt/shouwang/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/var/cache/shouwang \
    MPLCONFIGDIR=/tmp/matplotlib \
    TZ=Asia/Shanghai \
    SHOUWANG_STATE=/var/lib/shouwang
USER 10001:10001
WORKDIR /var/lib/shouwang
ENTRYPOINT ["shouwang"]
CMD ["run"]
