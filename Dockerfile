# Image of the service; see docs/deploy.md.
#     docker build -t archrank .                          (CPU)
#     docker build -t archrank --build-arg TORCH=cu130 .  (NVIDIA GPU; run with --gpus all)
# A digest, python:<tag>@sha256:<digest>, names an image that never changes; `docker buildx imagetools inspect <tag>` prints the digest.
ARG BASE=python:3.11.13-slim-bookworm

FROM ${BASE} AS build
# Build of PyTorch: cpu, or the version of CUDA as in cu130.
ARG TORCH=cpu
# Package index of PyTorch; if empty, PyTorch comes from pip's own index, as all else does.
ARG TORCH_INDEX=https://download.pytorch.org/whl/${TORCH}
# Extras of pyproject.toml; `all,ray` for an image that joins a Ray cluster.
ARG EXTRAS=all
# A configuration of pip can be given by `--secret id=pip.conf,src=<file>`; it does not become part of the image.
ENV PIP_CONFIG_FILE=/run/secrets/pip.conf PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv --without-pip /opt/archrank
WORKDIR /src
# Dependencies first, so that a change of the code reuses their layer.
COPY constraints.txt pyproject.toml ./
# PyTorch alone, so that no other package is looked up in its index, and a wrong build fails before its libraries are fetched.
RUN --mount=type=secret,id=pip.conf \
    pip --python /opt/archrank/bin/python install --no-deps -c constraints.txt torch ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} \
    && python -c "import runpy, sys; \
    cuda = runpy.run_path(sys.argv[1])['cuda']; \
    found = 'cu' + cuda.replace('.', '') if cuda else 'cpu'; \
    found == '${TORCH}' or sys.exit(f'torch is a build for {found}, TORCH=${TORCH} needs another: TORCH_INDEX has to name an index with it')" \
    /opt/archrank/lib/python3.*/site-packages/torch/version.py
# XGBoost depends on NCCL, half a gigabyte, which only training on several GPUs uses. Headers and tests of libraries are not needed.
RUN --mount=type=secret,id=pip.conf \
    touch README.md LICENSE \
    && pip --python /opt/archrank/bin/python install -c constraints.txt ".[${EXTRAS}]" \
    && pip --python /opt/archrank/bin/python uninstall --yes archrank $(if [ "${TORCH}" = cpu ]; then echo nvidia-nccl-cu12; fi) \
    && cd /opt/archrank/lib/python3.*/site-packages \
    && rm -rf torch/include torch/test \
    && find torch/bin -type f ! -name torch_shm_manager -delete \
    && find networkx scipy sklearn sympy -type d -name tests -prune -exec rm -r {} +
COPY . .
RUN --mount=type=secret,id=pip.conf \
    pip --python /opt/archrank/bin/python install --no-deps --prefix /opt/code .

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
