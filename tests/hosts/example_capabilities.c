/* Capability checking: the example from the specification. */
#include <dynload.h>
#include <stdio.h>

static int64_t verify_plugin_safety(int64_t plugin_caps) {
    if (has_dangerous_capabilities(plugin_caps) == 1) {
        return 0;
    } else {
        return 1;
    }
}

int main(void) {
    int64_t caps = CAP_CONSOLE;
    caps = add_capability(caps, CAP_TIME);
    caps = add_capability(caps, CAP_RANDOM);
    if (has_capability(caps, CAP_NETWORK) == 1) printf("network\n");
    printf("caps %d, safe %d\n", (int)caps, (int)verify_plugin_safety(caps));
    caps = add_capability(caps, CAP_NETWORK);
    printf("network %d, safe %d\n", (int)has_capability(caps, CAP_NETWORK), (int)verify_plugin_safety(caps));
    caps = remove_capability(caps, CAP_NETWORK);
    printf("network %d, safe %d\n", (int)has_capability(caps, CAP_NETWORK), (int)verify_plugin_safety(caps));
    return 0;
}
