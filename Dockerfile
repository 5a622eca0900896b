# Two images from one file, `--target operator` and `--target predictor`; docs/images.md says how, and what was measured.
#
# Debian 12 with Debian's own Python 3.11, which is what the tests run with. Another release of the same base:
# --build-arg DEBIAN=TAG, with or without @DIGEST.
ARG DEBIAN=bookworm-20261005-slim@sha256:7c7b2c966bc9ee8cedfeef67e0e279108992c77681fa595db4a9d65c06ccc587

# What both images stand on. Files with a time of their own, logs and caches, would make each build another one; and the
# standard library's bytecode is compiled anew, as it would otherwise hold for files of one modification time alone.
FROM debian:${DEBIAN} AS python
SHELL ["/bin/sh", "-euc"]
# Debian's archive keeps the newest of each package alone: a pinned version is gone with its next security update.
# hadolint ignore=DL3008
RUN --mount=type=secret,id=apt_sources,target=/etc/apt/sources.list.d/debian.sources \
    apt-get update; \
    apt-get upgrade -y; \
    apt-get install -y --no-install-recommends ca-certificates python3.11; \
    PYTHONHASHSEED=0 python3.11 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3.11; \
    echo 'tidecast:x:20001:20001:Tidecast:/tmp:/usr/sbin/nologin' >>/etc/passwd; \
    echo 'tidecast:x:20001:' >>/etc/group; \
    install -d -o 20001 -g 20001 -m 0770 /data; \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache \
        /var/lib/dpkg/*-old /var/log/*

# What packages are installed with. An environment has no pip of its own: this one works on it from outside.
FROM python AS tools
WORKDIR /build
# hadolint ignore=DL3008
RUN --mount=type=secret,id=apt_sources,target=/etc/apt/sources.list.d/debian.sources \
    apt-get update; \
    apt-get install -y --no-install-recommends python3.11-venv; \
    rm -rf /var/lib/apt/lists/*; \
    python3.11 -m venv /opt/tools; \
    python3.11 -m venv --without-pip /opt/tidecast
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONHASHSEED=0 SOURCE_DATE_EPOCH=315532800
COPY constraints.txt ./
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=certificates,target=/etc/ssl/certs/ca-certificates.crt \
    /opt/tools/bin/pip install -q -c constraints.txt hatchling
COPY pyproject.toml ./
COPY scripts/list-requirements.py scripts/trim-packages.sh scripts/

# The operator's packages, in a layer that stays the same while constraints.txt does.
FROM tools AS operator-packages
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=certificates,target=/etc/ssl/certs/ca-certificates.crt \
    python3.11 scripts/list-requirements.py operator >requirements.txt; \
    /opt/tools/bin/pip --python /opt/tidecast/bin/python install -q --no-compile --only-binary :all: \
        -c constraints.txt -r requirements.txt; \
    scripts/trim-packages.sh /opt/tidecast; \
    python3.11 -m compileall -q --invalidation-mode unchecked-hash /opt/tidecast

FROM tools AS operator-project
COPY LICENSE README.md ./
COPY contract contract
COPY operator operator
RUN /opt/tools/bin/pip wheel -q --no-deps --no-build-isolation --wheel-dir dist .; \
    /opt/tools/bin/pip --python /opt/tidecast/bin/python install -q --no-compile --no-deps --no-index \
        --prefix /opt/project dist/*.whl; \
    find /opt/project/bin -type f ! -name tidecast-operator -delete; \
    python3.11 -m compileall -q --invalidation-mode unchecked-hash -s /opt/project -p /opt/tidecast /opt/project

# PyTorch and what it asks for, in a layer of its own: by far the largest, and the one that changes least. Helpers of its
# own tests are not compiled, as one of them is of a newer Python.
FROM tools AS predictor-torch
# cpu or cuda. Which of them a package index gives is the index's choice: TORCH_INDEX_URL names another one, for torch alone.
ARG TORCH=cpu
ARG TORCH_INDEX_URL=
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=certificates,target=/etc/ssl/certs/ca-certificates.crt \
    case $TORCH in cpu|cuda) ;; *) echo "TORCH is cpu or cuda, not $TORCH" >&2; exit 1 ;; esac; \
    grep '^torch==' constraints.txt >torch.txt; \
    pip="/opt/tools/bin/pip --python /opt/tidecast/bin/python install -q --no-compile --only-binary :all:"; \
    if [ -n "$TORCH_INDEX_URL" ]; then $pip --no-deps --index-url "$TORCH_INDEX_URL" -r torch.txt; fi; \
    $pip -c constraints.txt -r torch.txt; \
    got=$(sed -n "s/^cuda.* = None\$/cpu/p; s/^cuda.* = '.*/cuda/p" /opt/tidecast/lib/python3.11/site-packages/torch/version.py); \
    if [ "$got" != "$TORCH" ]; then \
        echo "TORCH=$TORCH was asked for, but the package index gives PyTorch's $got build." \
            "Name an index that has the other one: --build-arg TORCH_INDEX_URL=..." >&2; \
        exit 1; \
    fi; \
    scripts/trim-packages.sh /opt/tidecast; \
    python3.11 -m compileall -q -x /torch/testing/_internal/ --invalidation-mode unchecked-hash /opt/tidecast

FROM predictor-torch AS predictor-packages
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=certificates,target=/etc/ssl/certs/ca-certificates.crt \
    python3.11 scripts/list-requirements.py predictor >requirements.txt; \
    /opt/tools/bin/pip --python /opt/tidecast/bin/python install -q --no-compile --only-binary :all: \
        --prefix /opt/packages -c constraints.txt -r requirements.txt; \
    scripts/trim-packages.sh /opt/packages; \
    python3.11 -m compileall -q --invalidation-mode unchecked-hash -s /opt/packages -p /opt/tidecast /opt/packages

# The one stage with a compiler. On another processor PyTorch does the same, only slower.
FROM tools AS native
# hadolint ignore=DL3008
RUN --mount=type=secret,id=apt_sources,target=/etc/apt/sources.list.d/debian.sources \
    apt-get update; \
    apt-get install -y --no-install-recommends g++; \
    rm -rf /var/lib/apt/lists/*
COPY scripts/build-native.sh scripts/
COPY predictor/tidecast_predictor/native predictor/tidecast_predictor/native
RUN if [ "$(uname -m)" = x86_64 ]; then scripts/build-native.sh; fi

FROM tools AS predictor-project
COPY LICENSE README.md ./
COPY contract contract
COPY predictor predictor
COPY --from=native /build/predictor/tidecast_predictor/native predictor/tidecast_predictor/native
RUN /opt/tools/bin/pip wheel -q --no-deps --no-build-isolation --wheel-dir dist .; \
    /opt/tools/bin/pip --python /opt/tidecast/bin/python install -q --no-compile --no-deps --no-index \
        --prefix /opt/project dist/*.whl; \
    find /opt/project/bin -type f ! -name tidecast-predictor -delete; \
    python3.11 -m compileall -q --invalidation-mode unchecked-hash -s /opt/project -p /opt/tidecast /opt/project

# Each image writes to /tmp and /data alone, so that its root can be mounted read-only.
FROM python AS operator
COPY --from=operator-packages /opt/tidecast /opt/tidecast
COPY --from=operator-project /opt/project /opt/tidecast
ENV PATH=/opt/tidecast/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME=/tmp \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1
WORKDIR /data
USER 20001:20001
EXPOSE 8080 8443 8502 8600
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8080, timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["tidecast-operator"]
CMD ["run", "--http-address", "0.0.0.0:8080"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="Tidecast operator" \
    org.opencontainers.image.description="Forecasts every service of a cluster together, along the call graph" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.created="${CREATED}"

FROM python AS predictor
COPY --from=predictor-torch /opt/tidecast /opt/tidecast
COPY --from=predictor-packages /opt/packages /opt/tidecast
COPY --from=predictor-project /opt/project /opt/tidecast
ENV PATH=/opt/tidecast/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME=/tmp \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 \
    XDG_CACHE_HOME=/tmp/cache TORCHINDUCTOR_CACHE_DIR=/tmp/cache/inductor TRITON_CACHE_DIR=/tmp/cache/triton \
    CUDA_CACHE_PATH=/tmp/cache/cuda NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /data
USER 20001:20001
EXPOSE 8500 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8501, timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["tidecast-predictor"]
CMD ["serve", "--address", "0.0.0.0:8500", "--http-address", "0.0.0.0:8501", "--data-dir", "/data"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="Tidecast predictor" \
    org.opencontainers.image.description="A graph neural network that forecasts all services of a cluster in one pass" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.created="${CREATED}"
