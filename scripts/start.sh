#!/bin/sh
# Start a command in the image. Where the host's driver is older than torch's CUDA wants (580), CUDA's forward-compatible library goes
# first: it works on data centre GPUs (A40, L40S, H100) with drivers from 535 on. Where the driver is new enough it must not be used.
compat=${CUDA_COMPAT_FOLDER:-/usr/local/cuda-compat}
version_file=${NVIDIA_VERSION_FILE:-/proc/driver/nvidia/version}
if [ -e "$compat/libcuda.so.1" ] && [ -r "$version_file" ]; then
  driver=$(grep -oE '[0-9]{3}\.[0-9]+' "$version_file" | head -n 1 | cut -d. -f1)
  if [ "${driver:-0}" -ge 535 ] && [ "$driver" -lt 580 ]; then
    export LD_LIBRARY_PATH="$compat${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  fi
fi
exec "$@"
