# The service in a container:
#     docker build -t archrank .                          (CPU)
#     docker build -t archrank --build-arg TORCH=cu130 .  (NVIDIA GPU; run with --gpus all)
#     docker run --rm -p 127.0.0.1:8000:8000 archrank
ARG BASE=python:3.11.13-slim-bookworm

FROM ${BASE} AS build
ARG TORCH=cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/archrank
WORKDIR /src
# PyTorch first: a change of the code does not download it again.
COPY constraints.txt .
RUN /opt/archrank/bin/pip install -c constraints.txt --extra-index-url "https://download.pytorch.org/whl/${TORCH}" torch
COPY . .
RUN /opt/archrank/bin/pip install -c constraints.txt ".[telemetry]"

FROM ${BASE}
RUN useradd --system --create-home --uid 10001 archrank
COPY --from=build /opt/archrank /opt/archrank
COPY examples /srv/archrank/examples
ENV PATH=/opt/archrank/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ARCHRANK_ALLOW_REMOTE=true \
    ARCHRANK_PORT=8000
USER archrank
WORKDIR /srv/archrank
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"ARCHRANK_PORT\"]}/health/ready', timeout=4)"]
ENTRYPOINT ["archrank"]
CMD ["serve", "--host", "0.0.0.0"]
