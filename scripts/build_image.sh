#!/usr/bin/env bash
# Build the image with buildah, without a Docker engine, and run the main job in it.
#
#   scripts/build_image.sh [PRESETS] [WORK]     PRESETS: none (default) or fast,balanced,high; WORK: working folder
#
# Needs root, and Debian's buildah and debootstrap. The base image is made by debootstrap, so that no image registry is needed; it gets this
# machine's CA certificates and pip settings, so that package mirrors work inside as well.
set -euo pipefail
cd "$(dirname "$0")/.."
presets=${1:-none}
work=${2:-$(mktemp -d)}
export STORAGE_DRIVER=vfs
store=(--root "$work/storage" --runroot "$work/run")
base=$work/base
mkdir -p "$work"

if [ ! -e "$base/usr/local/bin/python" ]; then
  debootstrap --variant=minbase --include=python3.11,python3.11-venv,python3-pip,ca-certificates bookworm "$base" \
    "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
  ln -sf /usr/bin/python3.11 "$base/usr/local/bin/python"
fi
# This machine's network settings.
cp /etc/ssl/certs/ca-certificates.crt "$base/etc/ssl/certs/"
cp /etc/apt/apt.conf.d/99* "$base/etc/apt/apt.conf.d/" 2> /dev/null || true
cp /etc/pip.conf "$base/etc/" 2> /dev/null || true

container=$(buildah "${store[@]}" from scratch)
buildah "${store[@]}" add --quiet "$container" "$base" /
buildah "${store[@]}" commit --quiet "$container" understudy-base
buildah "${store[@]}" rm "$container" > /dev/null

mounts=()
for folder in /opt/wheels /opt/pypi /opt/pypi-more; do
  [ -d "$folder" ] && mounts+=(--volume "$folder:$folder:ro")
done
pass=()
for name in PIP_CERT PIP_FIND_LINKS PIP_INDEX_URL PIP_EXTRA_INDEX_URL http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
  [ -n "${!name:-}" ] && pass+=(--env "$name=${!name}")
done
buildah "${store[@]}" bud --isolation chroot --layers --build-arg BASE=localhost/understudy-base \
  --build-arg PRESETS="$presets" "${mounts[@]}" "${pass[@]}" --tag understudy .

echo "layers, MB:"
buildah "${store[@]}" inspect --type image understudy | STORE="$work/storage" python3 -c '
import json, os, pathlib, sys
image = json.load(sys.stdin)["OCIv1"]
sizes = {}
for path in pathlib.Path(os.environ["STORE"]).glob("*-layers/layers.json"):
    sizes |= {layer.get("diff-digest"): layer.get("diff-size", 0) for layer in json.loads(path.read_text())}
made = iter(image["rootfs"]["diff_ids"])
for layer in image["history"]:
    size = "-" if layer.get("empty_layer") else f"{sizes.get(next(made), 0) / 1e6:.1f}"
    print(f"  {size:>8}  " + layer.get("created_by", "")[:100])'
container=$(buildah "${store[@]}" from understudy)
root=$(buildah "${store[@]}" mount "$container")
echo "sizes, MB:"
for folder in "" /usr /opt/venv /app/weights /app/pipeline; do
  echo "  $(du -sm "$root$folder" | cut -f1) ${folder:-in all}"
done
echo "the main job in the image:"
buildah "${store[@]}" run --isolation chroot "$container" -- python -u handler.py
buildah "${store[@]}" rm "$container" > /dev/null
