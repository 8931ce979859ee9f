# The agent with what workflows usually call: sh, Python 3, git, certificates.
#
#   docker build -t gitdag --build-arg VERSION="0.1.0-$(git describe --always)" .
#   docker run -v gitdag:/var/lib/gitdag -v "$PWD/api.token:/run/secrets/gitdag-api-token:ro" \
#     -p 127.0.0.1:65432:65432 --stop-timeout 60 gitdag agent --repo https://git.example.com/team/workflows.git
#
# It builds without a network from a tree that has its modules in vendor/.

ARG GO=golang:1.26-bookworm
ARG BASE=debian:bookworm-slim

FROM ${GO} AS build
WORKDIR /src
COPY . .
ARG VERSION=0.1.0-dev
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/gitdag ./cmd/gitdag

FROM ${BASE}
# Nothing is installed that the base brings along. The user is written down by
# hand, since a base need not have useradd.
RUN set -eu; \
    missing=; \
    for tool in sh:dash python3:python3 git:git tini:tini; do \
        command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool#*:}"; \
    done; \
    command -v update-ca-certificates >/dev/null || [ -s /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"; \
    if [ -n "$missing" ]; then \
        apt-get update; \
        apt-get install -y --no-install-recommends $missing; \
        rm -rf /var/lib/apt/lists/*; \
    fi; \
    echo 'gitdag:x:65532:65532:gitdag:/home/gitdag:/bin/sh' >>/etc/passwd; \
    echo 'gitdag:x:65532:' >>/etc/group; \
    mkdir -p /home/gitdag /var/lib/gitdag; \
    chmod 0700 /home/gitdag /var/lib/gitdag; \
    chown 65532:65532 /home/gitdag /var/lib/gitdag
COPY LICENSE /usr/share/doc/gitdag/LICENSE
COPY --from=build /out/gitdag /usr/local/bin/gitdag

# The token's place is the one of Docker's and compose's secrets. The agent
# refuses a public address without it.
ENV HOME=/home/gitdag \
    GITDAG_DATA=/var/lib/gitdag \
    GITDAG_LISTEN=:65432 \
    GITDAG_API_TOKEN_FILE=/run/secrets/gitdag-api-token
ARG VERSION=0.1.0-dev
LABEL org.opencontainers.image.title="gitdag" \
      org.opencontainers.image.description="Git-driven workflow daemon for Digdag-compatible .dig files" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
USER 65532:65532
WORKDIR /home/gitdag
VOLUME /var/lib/gitdag
EXPOSE 65432
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["gitdag", "status", "--healthy"]
# tini reaps what tasks leave behind and hands SIGTERM on. The agent drains for
# 30 s: give it more than the 10 s that `docker stop` waits by itself.
ENTRYPOINT ["tini", "--", "gitdag"]
CMD ["agent"]
