# docker build -t pt_jax . && docker run --rm -u "$(id -u)" -v "$PWD:/work" pt_jax map --x u=0:4:9 --out results/map
# With an accelerator: docker build --build-arg EXTRAS=data,cuda13 -t pt_jax .
FROM python:3.13-slim
ARG EXTRAS=data
COPY . /source
RUN pip install --no-cache-dir -c /source/constraints.txt "/source[$EXTRAS]" && rm -r /source
# Any user may run it, also one without a name and a home.
ENV XDG_CACHE_HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib
USER nobody
WORKDIR /work
ENTRYPOINT ["pt-jax"]
CMD ["--help"]
