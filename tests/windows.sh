#!/usr/bin/env bash
# Builds host, signed, jwt and hostile for Windows, and runs them under Wine: `.dll` plugins without Windows.
#
# Too slow for every CI run (five minutes on two cores, one for Rust's std alone), so it is run by hand:
#
#     tests/windows.sh
#
# On Debian, as root, it installs what it needs; else it says what to install. Everything it makes lies under
# target/windows.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(rustc-web cargo-web rust-web-src gcc-mingw-w64-x86-64 wine64 wine)
target=x86_64-pc-windows-gnu
export CARGO_TARGET_DIR=$PWD/target/windows
built=$CARGO_TARGET_DIR/$target/release

main() {
  install_what_is_missing
  build
  supply_what_wine_lacks
  run_in_wine
  echo "windows.sh: all good"
}

# One compiler for host, plugins and std: Debian's, whose sources of std are a package.
install_what_is_missing() {
  local missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ]; then
    echo "windows.sh: install these packages first: ${missing[*]}" >&2
    exit 1
  fi
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

# The program in a package, wherever the package puts it.
file_of() {
  dpkg -L "$1" | grep -E "/bin/$2\$" | head -n 1
}

build() {
  local rustc cargo
  rustc=$(file_of rustc-web rustc)
  cargo=$(file_of cargo-web cargo)
  # What rustup has set would lead back to its own compiler. jwt's C wants nothing but mingw: the assembly of aws-lc
  # comes with its crate as objects, which a feature of rustls asks for; where there is `nasm`, that is used instead.
  env -u RUSTUP_TOOLCHAIN -u RUSTFLAGS RUSTC="$rustc" RUSTC_BOOTSTRAP=1 "$cargo" build --locked --release \
    -Zbuild-std=std,panic_unwind --target "$target" -p token-host -p token-signed -p token-jwt -p token-hostile
}

# Rust's std imports `ProcessPrng` of bcryptprimitives.dll, which Wine 8 does not have.
supply_what_wine_lacks() {
  cat > "$built/bcryptprimitives.c" <<'C'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length) {
    return SystemFunction036(buffer, (ULONG)length);
}
C
  x86_64-w64-mingw32-gcc -shared -o "$built/bcryptprimitives.dll" "$built/bcryptprimitives.c" -ladvapi32
}

run_in_wine() {
  local folder
  folder=$(mktemp -d)
  trap "rm -rf '$folder'" EXIT
  export WINEPREFIX=$folder/wine WINEDEBUG=-all
  cp "$built/token_signed.dll" "$built/token_jwt.dll" "$built/token_hostile.dll" tests/data/jwt/*.pem "$folder"
  cd "$folder"
  run_signed_and_hostile
  run_jwt
  run_serve
}

run_signed_and_hostile() {
  local token
  export TOKEN_HOST_CONFIG=plugins.toml
  cat > plugins.toml <<'TOML'
[[plugin]]
name = "signed"
file = "./token_signed.dll"
[plugin.config]
secret = { file = "windows.secret", generate = true }

[[plugin]]
name = "hostile"
file = "./token_hostile.dll"
deadline_ms = 300
[plugin.config]
handlers = [
  { name = "told", claims = ["x:"], verify = "as_told", create = "unsupported" },
  { name = "hangs", claims = ["h:"], verify = "hang", create = "unsupported", execution = "blocking" },
]
TOML
  host check
  host plugins
  host inspect token_signed.dll

  # What is made is verified, and restricted as it was asked for.
  token=$(host create root -e 1h -a view-instance | tr -d '\r')
  expect "a token" "$token" 'dstok_*'
  expect "its actor" "$(host verify "$token")" '*"id":"root"*"_r":{"a":\["vi"\]}*'

  # Rejections, panics and deadlines are answers as well, and the next line is served.
  expect "answers" "$(printf '%s\n' "${token}x" x:accept x:panic x:panic_with_bomb h: other | host verify -)" \
    '*rejected*accepted*panicked*panicked*deadline of 300 ms*not_recognized*'

  # A library that is none, and one for another platform, are refused before they are loaded.
  head -c 100000 token_signed.dll > cut.dll
  expect "an ELF library" "$(refused "$(find /lib /usr/lib -name 'libc.so.6' | head -n 1)")" '*another platform*'
  expect "a cut library" "$(refused ./cut.dll)" '*cut short*'
}

run_jwt() {
  local handler token other
  export TOKEN_HOST_CONFIG=jwt.toml
  cat > jwt.toml <<'TOML'
[[plugin]]
name = "hs256"
file = "./token_jwt.dll"
[plugin.config]
name = "hs256"
secret = { file = "hs256.secret", generate = true }
revocation = { poll_ms = 100 }

[[plugin]]
name = "es256"
file = "./token_jwt.dll"
[plugin.config]
name = "es256"
keys = [{ kid = "es256", key = { file = "p256.pem" } }]
revocation = { poll_ms = 100 }

[[plugin]]
name = "rs256"
file = "./token_jwt.dll"
[plugin.config]
name = "rs256"
keys = [{ kid = "rs256", key = { file = "rsa.pem" }, algorithm = "RS256" }]
revocation = { poll_ms = 100 }
TOML
  host check

  for handler in hs256 es256 rs256; do
    token=$(host create root --handler "$handler" -a view-instance | tr -d '\r')
    other=$(host create guest --handler "$handler" | tr -d '\r')
    expect "$handler: its actor" "$(host verify "$token")" '*"id":"root"*"_r":{"a":\["vi"\]}*'
    expect "$handler: a foreign signature" "$(host verify "${token%.*}.${other##*.}" 2>&1)" '*signature is invalid*'

    # What one process revokes, the next knows at once, and one that runs since before soon.
    start_verifier
    answered "$token" accepted
    host invalidate --handler "$handler" --token "$token" --reason leaked
    expect "$handler: a revoked token" "$(host verify "$token" 2>&1)" '*has been revoked*'
    answered "$token" rejected
    answered "$other" accepted
    stop_verifier
  done
}

# The HTTP service: an answer for a good token, for none, and at the two places that say how it is.
run_serve() {
  local token line url
  export TOKEN_HOST_CONFIG=jwt.toml
  token=$(host create root --handler hs256 | tr -d '\r')
  # In place of the shell, so that it is the process that is ended.
  coproc SERVICE { exec wine "$built/token-host.exe" serve --listen 127.0.0.1:0; }
  read -r -t 60 line <&"${SERVICE[0]}"
  line=${line%$'\r'}
  expect "the service" "$line" 'listening on http://127.0.0.1:*'
  url=${line#listening on }
  expect "a good token over HTTP" "$(curl -si -m 30 -H "Authorization: Bearer $token" "$url/auth")" \
    '*200*x-auth-actor-id: root*'
  expect "no token over HTTP" "$(curl -si -m 30 "$url/auth")" '*401*'
  expect "it is ready" "$(curl -s -m 30 "$url/readyz")" '*"ready":true*'
  expect "its figures" "$(curl -s -m 30 "$url/metrics")" '*token_host_*'
  kill "$SERVICE_PID"
  wait "$SERVICE_PID" || true
}

# A host that verifies one token a line until it is stopped.
start_verifier() {
  coproc VERIFIER { host verify -; }
}

stop_verifier() {
  local input=${VERIFIER[1]} process=$VERIFIER_PID
  exec {input}>&-
  wait "$process"
}

# answered TOKEN STATUS: that the verifier says so, within ten seconds.
answered() {
  local answer=''
  for _ in {1..100}; do
    echo "$1" >&"${VERIFIER[1]}"
    read -r -t 30 answer <&"${VERIFIER[0]}" || break
    [[ $answer != *'"status":"'"$2"'"'* ]] || break
    sleep 0.1
  done
  expect "the running verifier: $2" "$answer" '*"status":"'"$2"'"*'
}

host() {
  wine "$built/token-host.exe" "$@"
}

# What `check` says to a configuration with this one library, which it has to refuse.
refused() {
  cp "$1" refused.dll
  printf '[[plugin]]\nname = "refused"\nfile = "./refused.dll"\n' > refused.toml
  if host check --config refused.toml 2>&1; then
    echo "it was not refused"
  fi
}

# expect WHAT TEXT PATTERN
expect() {
  # shellcheck disable=SC2053 # the pattern is one
  if [[ $2 == $3 ]]; then
    echo "windows.sh: $1: as expected"
  else
    printf 'windows.sh: %s: expected %s, got:\n%s\n' "$1" "$3" "$2" >&2
    exit 1
  fi
}

main
