# A Debian 12 with all that building and testing Retrace needs:
#   docker build -t retrace . && docker run --rm -it -v "$PWD":/retrace retrace ./run
FROM debian:12
COPY cmake/setup.sh /tmp/cmake/setup.sh
RUN apt-get update -q \
 && bash -c '. /tmp/cmake/setup.sh && DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -q --no-install-recommends "${packages[@]}" \
      ca-certificates ccache clang clang-format clang-tidy clangd gdb git less libclang-rt-14-dev python3' \
 && rm -rf /var/lib/apt/lists/* /tmp/cmake
WORKDIR /retrace
