# syntax=docker/dockerfile:1

# The same image in both stages, so that the environment built in one runs in the other. Pinned by tag: its security
# fixes arrive with a new build.
FROM python:3.13-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/nobacktrack
WORKDIR /src
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/nobacktrack/bin/pip install --require-hashes --no-deps --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY nobacktrack nobacktrack
COPY model model
COPY service service
RUN /opt/nobacktrack/bin/pip install --no-deps --no-build-isolation . \
    # What only the tests of others and further installing need: a tenth of the image.
    && find /opt/nobacktrack -type d -name tests -prune -exec rm -r {} + \
    && /opt/nobacktrack/bin/pip uninstall --yes hatchling pathspec pluggy tomlkit trove-classifiers pip

FROM python:3.13-slim-trixie
RUN groupadd --gid 10001 nobacktrack \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /nonexistent nobacktrack \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/nobacktrack /etc/nobacktrack \
    && install --directory --owner=10001 --group=10001 /var/cache/nobacktrack
COPY --from=build /opt/nobacktrack /opt/nobacktrack
ENV PATH=/opt/nobacktrack/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/var/cache/nobacktrack \
    NBT_DATA_DIR=/var/lib/nobacktrack \
    NBT_HOST=0.0.0.0 \
    NBT_PORT=8000
USER 10001:10001
WORKDIR /var/lib/nobacktrack

# Compile the kernels now, for the processor of the machine that builds: code for any x86-64 (NUMBA_CPU_NAME=generic)
# would need no second compilation elsewhere, but uses none of its wide vectors. Another processor compiles once more, at
# its first start. With a read-only root, mount a volume at /var/cache/nobacktrack: the engine
# fills a new one from the image, and what is compiled later is kept. Without one the kernels are compiled into /tmp at
# each start.
RUN python -c "from nobacktrack.model import warm_up; warm_up()"

EXPOSE 8000
# Ready means: the kernels are compiled and the store answers.
HEALTHCHECK --interval=5s --timeout=3s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['NBT_PORT']), timeout=2); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
STOPSIGNAL SIGTERM
CMD ["nobacktrack", "serve"]
