# Moltgate in one image: every role, and `moltgate run` with a private Redis of its own.
# Plain on purpose, so that every builder takes it: no frontend to fetch, no heredocs.
# For a build that can be repeated to the byte, give the base by digest:
#   docker build --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:… .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN apt-get update \
 && apt-get install -y --no-install-recommends binutils \
 && python3 -m venv --without-pip /opt/moltgate
# Dependencies first: they change less often than the source. Wheels only, so that nothing of
# theirs runs here, and each by its hash. Two carry 80 MB of symbols.
COPY deploy/requirements.lock deploy/build.lock deploy/gpu.lock deploy/
RUN python3 -m pip install --only-binary :all: --require-hashes -r deploy/build.lock \
 && python3 -m pip --python /opt/moltgate/bin/python3 install --only-binary :all: --require-hashes \
        -r deploy/requirements.lock \
 && (cd /opt/moltgate/lib/python3.*/site-packages && strip --strip-unneeded ctranslate2/_ext*.so uvloop/loop*.so) \
 && /opt/moltgate/bin/python3 -c "import ctranslate2, uvloop"
# For faster-whisper on a GPU: --build-arg GPU=1 brings the one CUDA library that CTranslate2 looks
# for, 700 MB of it. The driver's own come with the container runtime.
ARG GPU=
RUN mkdir -p /opt/moltgate/lib/cuda \
 && if [ -n "$GPU" ]; then \
        python3 -m pip --python /opt/moltgate/bin/python3 install --only-binary :all: --require-hashes \
            -r deploy/gpu.lock \
     && ln -s /opt/moltgate/lib/python3.*/site-packages/nvidia/cublas/lib/*.so.* /opt/moltgate/lib/cuda/; \
    fi
COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY gateway gateway
COPY adapters adapters
COPY engine engine
COPY multimodal multimodal
RUN python3 -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && python3 -m pip --python /opt/moltgate/bin/python3 install --no-deps --no-index /wheels/*.whl

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="Moltgate" \
      org.opencontainers.image.description="Your own models behind Discord, Telegram, Slack, e-mail and any other chat" \
      org.opencontainers.image.licenses="Apache-2.0"
# The server for `moltgate run`; under Compose Redis has a container of its own. Tesseract, its data
# and espeak-ng are what pictures are read and answers are spoken with. Another language: a line
# of yours in a Dockerfile of yours, apt-get install tesseract-ocr-fra.
# /data belongs to the user below, and so does a named volume that is first mounted there. The user
# has no name: complaints about owners shall say a number that means the same outside.
RUN apt-get update \
 && apt-get install -y --no-install-recommends redis-server \
        tesseract-ocr tesseract-ocr-eng tesseract-ocr-deu tesseract-ocr-osd espeak-ng \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
 && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /opt/moltgate /opt/moltgate
# PYTHONSAFEPATH: nothing is imported from the folder a command happens to be started in.
ENV PATH=/opt/moltgate/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MOLTGATE_HOME=/data \
    MOLTGATE_HTTP_HOST=0.0.0.0 \
    MOLTGATE_HTTP_PORT=8080
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python3", "-IS", "-c", "import os, sys, http.client as http; probe = http.HTTPConnection('127.0.0.1', int(os.environ['MOLTGATE_HTTP_PORT']), timeout=4); probe.request('GET', '/healthz'); sys.exit(probe.getresponse().status != 200)"]
ENTRYPOINT ["moltgate"]
CMD ["run"]
