# The action's image: one static program on a base with a shell.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /atta-deploy-action .

# Runners on Kubernetes start the container with sh, env and tail, so the base is
# not empty: https://github.com/actions/runner-container-hooks
FROM busybox:1.37
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /atta-deploy-action /atta-deploy-action
# Under this name the program is the post step: it cleans up after the main step.
RUN ln -s /atta-deploy-action /atta-deploy-action-post

# Root, because the runner's files are only root's to write:
# https://docs.github.com/en/actions/reference/workflows-and-actions/dockerfile-support#user
USER 0:0
ENTRYPOINT ["/atta-deploy-action"]
