# Image of the service; see docs/deploy.md.
#     docker build -t archrank .                          (CPU)
#     docker build -t archrank --build-arg TORCH=cu130 .  (NVIDIA GPU; run with --gpus all)
# A digest, python:<tag>@sha256:<digest>, names an image that never changes; `docker buildx imagetools inspect <tag>` prints the digest.
ARG BASE=python:3.11.13-slim-bookworm

FROM ${BASE} AS build
# Name of a PyTorch package index, https://download.pytorch.org/whl/<name>.
ARG TORCH=cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv --without-pip /opt/archrank
WORKDIR /src
# Dependencies first, so that a change of the code reuses their layer.
COPY constraints.txt pyproject.toml ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
    extras = project['optional-dependencies']; \
    print(*project['dependencies'], *(line for extra in ('postgres', 'report', 'search', 'telemetry') for line in extras[extra]), sep='\n')" \
    > requirements.txt
RUN pip --python /opt/archrank/bin/python install -c constraints.txt -r requirements.txt \
    --extra-index-url "https://download.pytorch.org/whl/${TORCH}"
# XGBoost depends on NCCL, half a gigabyte, which only training on several GPUs uses.
RUN if [ "${TORCH}" = cpu ]; then pip --python /opt/archrank/bin/python uninstall --yes nvidia-nccl-cu12; fi
COPY . .
RUN pip --python /opt/archrank/bin/python install --no-deps --prefix /opt/code .

FROM ${BASE}
RUN pip uninstall --yes --quiet setuptools wheel pip \
    && groupadd --system --gid 10001 archrank \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /tmp archrank \
    && install --directory --owner archrank --group archrank --mode 700 /var/lib/archrank
COPY --from=build /opt/archrank /opt/archrank
COPY --from=build /opt/code /opt/archrank
COPY examples /srv/archrank/examples
# The service writes only to /var/lib/archrank and /tmp.
ENV PATH=/opt/archrank/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    ARCHRANK_DATA_DIR=/var/lib/archrank \
    ARCHRANK_PORT=8000
USER 10001:10001
WORKDIR /srv/archrank
VOLUME /var/lib/archrank
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"ARCHRANK_PORT\"]}/health/ready', timeout=4)"]
ENTRYPOINT ["archrank"]
CMD ["serve", "--host", "0.0.0.0"]
