# The action's image: one static program on a base with a shell. `make publish` builds the same on the last base.

FROM golang:1.26.8-bookworm@sha256:a688600ca24f8a4d3ca77f95b0dd40704a9fc787c826660eb7ba0b641b8b175d AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /atta-deploy-action .

# Runners on Kubernetes start the container with sh, env and tail, so the base is
# not empty: https://github.com/actions/runner-container-hooks
FROM busybox:1.37@sha256:bdf57e528e45e4433820e045b29b4597825a1c9e38353532d90a01445013f82e
COPY --from=build /atta-deploy-action /atta-deploy-action
# Under this name the program is the post step: it cleans up after the main step.
RUN ln -s /atta-deploy-action /atta-deploy-action-post

# Root, because the runner's files are only root's to write:
# https://docs.github.com/en/actions/reference/workflows-and-actions/dockerfile-support#user
USER 0:0
ENTRYPOINT ["/atta-deploy-action"]
