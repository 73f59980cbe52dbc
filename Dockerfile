# The command `tickrouter` in an image: built as a wheel, installed with the versions that go together.
FROM python:3.11-slim AS build
WORKDIR /source
RUN pip install --no-cache-dir build
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY shared shared
COPY services services
COPY configs configs
RUN python -m build --wheel --outdir /wheels

FROM python:3.11-slim
COPY --from=build /wheels /wheels
COPY constraints.txt /wheels/
RUN pip install --no-cache-dir --constraint /wheels/constraints.txt "$(ls /wheels/*.whl)[simulator,frames]" \
    && rm -r /wheels \
    && useradd --uid 10001 --no-create-home --home-dir /data tickrouter \
    && install -d -o tickrouter -g tickrouter /data
USER tickrouter
WORKDIR /data
VOLUME /data
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["tickrouter"]
CMD ["--help"]
