# syntax=docker/dockerfile:1
# The worker. Stages: dependencies, models, code; so that a change of code rebuilds little.
#
#   docker build -t understudy:preview .                                            CPU, the mannequin alone (PRESETS=none)
#   docker build --build-arg PRESETS=fast,balanced,high \
#     --secret id=hf_token,env=HF_TOKEN -t understudy .                            with the diffusion presets' models
#
# torch's wheels bring CUDA 13: the host's driver must be 580 or newer. There is no HEALTHCHECK: RunPod has its own.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE} AS dependencies

# OpenCV's wheels want libGL and glib.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements.lock requirements-gpu.lock ./
RUN pip install --no-cache-dir -r requirements.lock
ARG PRESETS=none
RUN if [ "$PRESETS" != none ]; then pip install --no-cache-dir -r requirements-gpu.lock; fi

# The downloads need their own code alone: a change of any other file leaves this layer as it is.
FROM dependencies AS models
COPY pipeline/__init__.py ./pipeline/
COPY pipeline/models/__init__.py ./pipeline/models/
COPY pipeline/models/weights ./pipeline/models/weights
COPY builder/__init__.py builder/fetch_models.py builder/download.py builder/models.lock ./builder/
ARG PRESETS=none
# The token is there for this command alone, and in no layer.
RUN --mount=type=secret,id=hf_token \
    UNDERSTUDY_WEIGHTS=/app/weights python -m builder.fetch_models --preset "$PRESETS" --no-build
# The figure is built by its own code, in seconds; what was downloaded is found and left alone.
COPY builder ./builder
COPY pipeline ./pipeline
RUN UNDERSTUDY_WEIGHTS=/app/weights python -m builder.fetch_models --preset "$PRESETS"

FROM dependencies
COPY --from=models /app/weights ./weights
COPY conf ./conf
COPY builder ./builder
COPY pipeline ./pipeline
COPY worker ./worker
COPY benchmarks ./benchmarks
COPY assets ./assets
COPY handler.py test_input.json LICENSE ./

# Nothing is fetched at run time. Numba keeps its compiled kernels, and ultralytics its settings, where the user may write.
ENV UNDERSTUDY_WEIGHTS=/app/weights \
    HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    YOLO_OFFLINE=1 \
    YOLO_AUTOINSTALL=0 \
    YOLO_CONFIG_DIR=/home/worker \
    NUMBA_CACHE_DIR=/home/worker/.numba
RUN useradd --create-home worker && mkdir outputs && chown worker outputs
USER worker
CMD ["python", "-u", "handler.py"]
