#!/usr/bin/env bash
# One stored sweep spread over a job array: each task computes every n-th unit of the same store.
#
#     sbatch --array=0-7 sims/slurm.sh pt-jax map --x u=0:4:101 --y v2=0:4:101 --seeds 64 --out DIR
#     sbatch --array=0-7 --gpus-per-task=1 sims/slurm.sh python sims/phase_diagram.py
#
# A task that dies is simply run again: sbatch --array=3 --export=ALL,SHARDS=8 ... with the same command. When all have
# ended, the same command without this script draws the figure.
#SBATCH --job-name=pt_jax
#SBATCH --ntasks=1
#SBATCH --output=%x-%A-%a.log
set -euo pipefail

if [ $# -eq 0 ] || [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then
    echo "usage: sbatch --array=0-7 $0 COMMAND [OPTIONS], a command that takes --shard" >&2
    exit 2
fi
exec "$@" --yes --shard "$SLURM_ARRAY_TASK_ID/${SHARDS:-$SLURM_ARRAY_TASK_COUNT}"
