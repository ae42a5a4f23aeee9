# The worker with the preview preset: CPU only. Dependencies, models, code, so that a change of code rebuilds little.
FROM python:3.11-slim-bookworm AS base

# OpenCV's wheels want libGL and glib.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
ENV UNDERSTUDY_WEIGHTS=/app/weights
COPY requirements.lock ./
RUN pip install --no-cache-dir -r requirements.lock

# The figure is built by the figure's own code, so the pipeline comes along.
FROM base AS weights
COPY builder ./builder
COPY pipeline ./pipeline
RUN python -m builder.fetch_models

FROM base
COPY --from=weights /app/weights ./weights
COPY conf ./conf
COPY pipeline ./pipeline
COPY builder ./builder
COPY assets ./assets
COPY handler.py test_input.json LICENSE ./

RUN useradd --create-home worker && mkdir outputs && chown worker outputs
USER worker
# Numba keeps its compiled kernels here.
ENV NUMBA_CACHE_DIR=/home/worker/.numba
CMD ["python", "-u", "handler.py"]
