/* The plugin of docs/plugins.md in C.
 *
 * clang --target=wasm32 -O2 -mbulk-memory -ffreestanding -nostdlib -Wl,--no-entry -o text.wasm text.c
 * (with -I for the directory of dynload_guest.h)
 */
#include "dynload_guest.h"

/* Upper case, of ASCII letters. */
static int32_t shout(dynload_bytes text) {
    for (size_t n = 0; n < text.len; n++)
        if (text.data[n] >= 'a' && text.data[n] <= 'z') text.data[n] -= 'a' - 'A';
    return dynload_ok(text);
}
DYNLOAD_EXPORT_BYTES(shout);

/* A greeting, by the plugin's configuration. */
static int32_t greet(dynload_bytes name) {
    dynload_bytes parts[] = {dynload_config("greeting", "Hello"), dynload_text(", "), name, dynload_text("!")};
    return dynload_ok(dynload_join(parts, 4));
}
DYNLOAD_EXPORT_BYTES(greet);

/* Always an error. */
static int32_t refuse(dynload_bytes text) {
    dynload_bytes parts[] = {dynload_text("cannot accept: "), text};
    return dynload_error(dynload_join(parts, 2));
}
DYNLOAD_EXPORT_BYTES(refuse);

/* Two arguments with a space between them. */
DYNLOAD_EXPORT(join) int32_t join(size_t first_len, size_t second_len) {
    char *args = dynload_args(first_len + second_len);
    dynload_bytes parts[] = {{args, first_len}, dynload_text(" "), {args + first_len, second_len}};
    return dynload_ok(dynload_join(parts, 3));
}
