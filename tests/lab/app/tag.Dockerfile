ARG BASE
FROM $BASE
ARG TAG
LABEL org.opencontainers.image.version=$TAG
COPY . /
