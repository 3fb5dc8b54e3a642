/* Build: {build} */

#include "dynload_guest.h"

/* Returns the text in upper case, or an error if there is none. */
static int32_t shout(dynload_bytes text) {
    if (text.len == 0) return dynload_error(dynload_text("the text is empty"));
    for (size_t n = 0; n < text.len; n++)
        if (text.data[n] >= 'a' && text.data[n] <= 'z') text.data[n] -= 'a' - 'A';
    return dynload_ok(text);
}
DYNLOAD_EXPORT_BYTES(shout);
