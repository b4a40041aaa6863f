#!/usr/bin/env bash
# One stored sweep spread over a job array: each task computes every n-th unit of the same store.
#
#     sbatch --array=0-7 sims/slurm.sh pt-jax map --x u=0:4:101 --y v2=0:4:101 --seeds 64 --out DIR
#     sbatch --array=1-8 --gpus-per-task=1 sims/slurm.sh python sims/phase_diagram.py
#
# The array may start anywhere. A task that dies is simply run again, with the number of tasks and the first one of the
# whole array: sbatch --array=3 --export=ALL,SHARDS=8,FIRST=1 ... with the same command. When all have ended, the same
# command without this script draws the figure.
#SBATCH --job-name=pt_jax
#SBATCH --ntasks=1
#SBATCH --output=%x-%A-%a.log
set -euo pipefail

if [ $# -eq 0 ] || [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then
    echo "usage: sbatch --array=0-7 $0 COMMAND [OPTIONS], a command that takes --shard" >&2
    exit 2
fi
if [ -n "${SHARDS:-}" ]; then
    first=${FIRST:-0} step=${STEP:-1}
else
    first=${SLURM_ARRAY_TASK_MIN:-0} step=${SLURM_ARRAY_TASK_STEP:-1} SHARDS=$SLURM_ARRAY_TASK_COUNT
fi
shard=$(((SLURM_ARRAY_TASK_ID - first) / step))
if [ $((first + shard * step)) -ne "$SLURM_ARRAY_TASK_ID" ] || [ "$shard" -lt 0 ] || [ "$shard" -ge "$SHARDS" ]; then
    echo "task $SLURM_ARRAY_TASK_ID is not one of $SHARDS from $first on in steps of $step: use --array=A-B or A-B:STEP" >&2
    exit 2
fi
exec "$@" --yes --shard "$shard/$SHARDS"
