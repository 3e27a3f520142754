# The image of every knowngood process. Its base is pinned by exact version; pin it by digest too
# once you have pulled and checked it.
FROM python:3.11.15-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock requirements-build.lock ./
RUN python -m venv --without-pip /opt/knowngood \
    && pip install --no-cache-dir --require-hashes -r requirements-build.lock \
    && pip --python /opt/knowngood/bin/python install --no-cache-dir --only-binary :all: \
        --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE beat_schedule.py ./
COPY knowngood/ knowngood/
COPY workers/ workers/
COPY tasks/ tasks/
COPY simulator/ simulator/
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /build/wheels . \
    && pip --python /opt/knowngood/bin/python install --no-cache-dir --no-deps --no-index \
        /build/wheels/*.whl

FROM python:3.11.15-slim-bookworm
# No installer in an image that runs; the directory's owner is what a new volume there inherits.
RUN pip uninstall --yes pip setuptools wheel \
    && groupadd --gid 10001 knowngood \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin knowngood \
    && install --directory --owner 10001 --group 10001 /var/lib/knowngood/artifacts
COPY --from=build /opt/knowngood /opt/knowngood
ENV PATH=/opt/knowngood/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/knowngood
CMD ["knowngood", "--help"]
