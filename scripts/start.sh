#!/bin/sh
# Run a command in the image. If the host's driver is older than torch's CUDA requires (580), CUDA's forward-compatibility library takes
# precedence: it works on data center GPUs (A40, L40S, H100) with drivers from 535 on. It must not be used with newer drivers.
compat=${CUDA_COMPAT_FOLDER:-/usr/local/cuda-compat}
version_file=${NVIDIA_VERSION_FILE:-/proc/driver/nvidia/version}
if [ -e "$compat/libcuda.so.1" ] && [ -r "$version_file" ]; then
  driver=$(grep -oE '[0-9]{3}\.[0-9]+' "$version_file" | head -n 1 | cut -d. -f1)
  if [ "${driver:-0}" -ge 535 ] && [ "$driver" -lt 580 ]; then
    export LD_LIBRARY_PATH="$compat${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  fi
fi
exec "$@"
