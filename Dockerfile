FROM debian:12 AS build
WORKDIR /src
COPY . .
RUN ./run build release

FROM debian:12-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends ca-certificates curl libavro23 libcurl4 \
        libjansson4 liblz4-1 libmariadb3 libmicrohttpd12 libpcre2-8-0 libpq5 libsnappy1v5 libsqlite3-0 libssl3 \
        libyaml-0-2 libzstd1 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home millrace && install -d -o millrace /var/lib/millrace /lake
COPY --from=build /src/build/release/bin/ /usr/local/bin/
USER millrace
CMD ["millrace", "--help"]
