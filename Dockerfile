# syntax=docker/dockerfile:1
# The worker's image. Stages: dependencies, models, code, so that a change of code rebuilds little.
#
#   docker build -t understudy:preview .                                            CPU, the mannequin alone (PRESETS=none)
#   docker build --build-arg PRESETS=fast,balanced,high \
#     --secret id=hf_token,env=HF_TOKEN -t understudy .                            with the diffusion presets' models
#
# torch's wheels use CUDA 13, which requires driver 580; with NVIDIA's forward-compatibility library, which scripts/start.sh enables if
# necessary, drivers from 535 on suffice for data center GPUs. There is no HEALTHCHECK: RunPod has its own.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE} AS dependencies

# OpenCV's wheels need libGL and glib.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements.lock requirements-gpu.lock ./
# Nothing imports the packages' own tests.
RUN pip install --no-cache-dir -r requirements.lock && find /opt/venv -type d -name tests -prune -exec rm -r {} +
ARG PRESETS=none
# triton (0.9 GB) is needed for `generate.compile` only, which also needs a C compiler: the image has neither. ultralytics loads polars for
# tables and plots only. None of the removed libraries (0.3 GB: solving on several GPUs, a second runtime compiler, the profiler's counters) is
# named by a library that torch loads; CUPTI alone looks for the profiler's, when it counts. The headers, the device code and protoc are for building.
RUN if [ "$PRESETS" != none ]; then \
      pip install --no-cache-dir -r requirements-gpu.lock \
      && pip uninstall --yes triton polars polars-runtime-32 \
      && cd /opt/venv/lib/python3.11/site-packages \
      && rm -r nvidia/cu13/lib/libcusolverMg.so.* nvidia/cu13/lib/libnvrtc*.alt.so* nvidia/cu13/lib/libnvperf_*.so nvidia/cu13/lib/*.a \
        nvidia/nvshmem/lib/libnvshmem_device.* torch/include torch/bin/protoc* \
      && find . -type d -name tests -prune -exec rm -r {} +; \
    fi

# NVIDIA's packages for this Debian version; `--build-arg CUDA_COMPAT=none` omits them, for hosts with driver 580 or newer.
FROM ${BASE} AS compat
ARG PRESETS=none
ARG CUDA_COMPAT=cuda-compat-13-0
ARG CUDA_PACKAGES=https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64
RUN mkdir /usr/local/cuda-compat \
    && if [ "$PRESETS" != none ] && [ "$CUDA_COMPAT" != none ]; then \
      python -c "from urllib.request import urlretrieve; urlretrieve('$CUDA_PACKAGES/cuda-keyring_1.1-1_all.deb', '/tmp/keyring.deb')" \
      && apt-get update && apt-get install -y --no-install-recommends ca-certificates && dpkg -i /tmp/keyring.deb \
      && apt-get update && apt-get install -y --no-install-recommends "$CUDA_COMPAT" \
      && cp -a /usr/local/cuda-*/compat/. /usr/local/cuda-compat/; \
    fi

# Only the code that downloads: a change of any other file does not invalidate this layer.
FROM dependencies AS models
COPY pipeline/__init__.py ./pipeline/
COPY pipeline/models/__init__.py ./pipeline/models/
COPY pipeline/models/weights ./pipeline/models/weights
COPY builder/__init__.py builder/fetch_models.py builder/download.py builder/models.lock ./builder/
ARG PRESETS=none
# The token is available to this command only and is not stored in a layer.
RUN --mount=type=secret,id=hf_token \
    UNDERSTUDY_WEIGHTS=/app/weights python -m builder.fetch_models --preset "$PRESETS" --no-build
# The mannequin's mesh is built in seconds; downloaded files are found and kept.
COPY builder ./builder
COPY pipeline ./pipeline
RUN UNDERSTUDY_WEIGHTS=/app/weights python -m builder.fetch_models --preset "$PRESETS"
# Fuse LoRAs and convert single precision to half: less to push, and less to read at every start.
RUN if [ "$PRESETS" != none ]; then python -m builder.prepare_weights --weights /app/weights; fi
RUN python -m builder.licences --weights /app/weights
# One layer per source, so that a change of one model pushes only its own layer.
RUN mkdir -p /layers/sd15 /layers/controlnet /layers/adapter /layers/motion \
    && for pair in sd15:sd15 controlnet:controlnet ip_adapter:adapter animatelcm:motion lcm_lora:motion vae:motion \
        taesd:motion sam2:adapter; do \
      if [ -e "weights/${pair%:*}" ]; then mv "weights/${pair%:*}" "/layers/${pair#*:}/"; fi; \
    done

FROM dependencies
COPY --from=compat /usr/local/cuda-compat /usr/local/cuda-compat
COPY --from=models /layers/sd15 ./weights
COPY --from=models /layers/controlnet ./weights
COPY --from=models /layers/adapter ./weights
COPY --from=models /layers/motion ./weights
COPY --from=models /app/weights ./weights
COPY conf ./conf
COPY builder ./builder
COPY pipeline ./pipeline
COPY worker ./worker
COPY benchmarks ./benchmarks
COPY assets ./assets
COPY scripts/start.sh ./scripts/
COPY handler.py test_input.json LICENSE ./

# Nothing is downloaded at run time. Numba's compiled kernels and ultralytics' settings go to a folder that the user can write to.
# Plain container runtimes expose a GPU because of the two NVIDIA variables.
ENV UNDERSTUDY_WEIGHTS=/app/weights \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    YOLO_OFFLINE=1 \
    YOLO_AUTOINSTALL=0 \
    YOLO_CONFIG_DIR=/home/worker \
    NUMBA_CACHE_DIR=/home/worker/.numba \
    NUMBA_CPU_NAME=haswell \
    NUMBA_CPU_FEATURES=+avx2,+fma
# Pushing an image trims modification times to seconds, and the compiled kernels are valid only for the exact time of their source file
# (moby/moby#48447). The worker cannot write bytecode into /app.
RUN useradd --create-home worker && mkdir outputs && chown worker outputs \
    && find conf builder pipeline worker benchmarks handler.py -exec touch --date 2026-01-01 {} + \
    && python -m compileall -q conf builder pipeline worker benchmarks handler.py
USER worker
# Kernels are compiled here, by a whole job, for every processor with AVX2: otherwise the first job of each new worker
# would pay for it (20 CPU seconds).
RUN python handler.py && rm -r outputs/*
ENTRYPOINT ["/app/scripts/start.sh"]
CMD ["python", "-u", "handler.py"]
