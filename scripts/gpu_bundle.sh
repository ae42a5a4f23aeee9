#!/usr/bin/env bash
# Make a folder of less than 60 MB with everything that `benchmarks.gpu_check --random-weights` needs besides the repository, for a machine
# that has PyTorch (2.11 or newer, CUDA 13), numpy, scipy, numba, OpenCV, Pillow, transformers and peft, but no network.
#
#   scripts/gpu_bundle.sh [FOLDER] [PYTHON]      FOLDER: bundle (default); PYTHON: that machine's version, 3.12 (default)
#
# On that machine:  bash FOLDER/run.sh --preset fast --preset balanced --preset high --json check.json
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-bundle}
version=${2:-3.12}
python=${BUNDLE_PYTHON:-.venv/bin/python}
most_mb=60
mkdir -p "$folder/wheels"

# Packages that such a machine lacks, in the versions of the lock files. Without ai-edge-litert (22 MB): people are detected here, by
# --prepare.
names=(diffusers ultralytics ultralytics-thop av hydra-core omegaconf pydantic pydantic_core annotated-types typing-inspection
  cattrs supervision pyDeprecate scenedetect trackers tenacity lazy-importer defusedxml)
pinned=()
for name in "${names[@]}"; do
  line=$(cat requirements.lock requirements-gpu.lock | grep -iE "^${name}==" | head -1)
  [ -n "$line" ] || { echo "gpu_bundle: $name is in no lock" >&2; exit 1; }
  pinned+=("$line")
done
platforms=()
for glibc in 2_28 2_27 2_17; do platforms+=(--platform "manylinux_${glibc}_x86_64"); done
"$python" -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version "$version" \
  --implementation cp "${platforms[@]}" --platform manylinux2014_x86_64 --dest "$folder/wheels" "${pinned[@]}"
# The only package without a wheel on PyPI.
"$python" -m pip wheel -q --disable-pip-version-check --no-deps --wheel-dir "$folder/wheels" antlr4-python3-runtime==4.9.3

"$python" -m benchmarks.gpu_check --prepare "$folder/prepared"
mkdir -p "$folder/weights"
cp weights/figure.npz weights/figure.npz.json "$folder/weights/"
cat > "$folder/run.sh" << 'RUN'
#!/usr/bin/env bash
# Install the wheels into a separate folder, in addition to the machine's own packages, and check its GPU.
set -euo pipefail
bundle=$(cd "$(dirname "$0")" && pwd)
site=${SITE:-/tmp/understudy-site}
python3 -m pip install -q --disable-pip-version-check --no-index --no-deps --no-compile --upgrade --target "$site" "$bundle"/wheels/*.whl
export PYTHONPATH=$site UNDERSTUDY_WEIGHTS=$bundle/weights HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1
cd "${REPOSITORY:-.}"
python3 -m benchmarks.gpu_check --random-weights "${WEIGHTS:-/tmp/understudy-random-weights}" --workspace "$bundle/prepared" "$@"
RUN

total_mb=$(du -cm --apparent-size "$folder"/* | tail -1 | cut -f1)
echo "$folder: $total_mb MB"
[ "$total_mb" -lt "$most_mb" ] || { echo "gpu_bundle: more than $most_mb MB" >&2; exit 1; }
