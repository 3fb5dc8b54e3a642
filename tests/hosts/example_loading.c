/* Basic dynamic loading: the example from the specification, completed. Arguments: the plugin. */
#include <dynload.h>
#include <stdio.h>

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    ModuleHandle module = load_module_str(argv[1]);
    if (module_is_loaded(module) == 1) {
        int64_t (*init_fn)(void) = (int64_t (*)(void))get_function_str(module, "plugin_init");
        printf("plugin_init() = %d\n", (int)init_fn());
        /* The handle is the one that dlopen returns. */
        void *add = dlsym((void *)(intptr_t)module.handle, "add");
        printf("dlsym finds the same: %d\n", (int64_t)(intptr_t)add == get_function_str(module, "add"));
        printf("path %s, version %d\n", dynload_text(module.path), (int)module_version(module));
        module = reload_module(module);
        printf("version %d\n", (int)module_version(module));
        printf("unloaded %d\n", (int)unload_module(module));
        printf("again %d\n", (int)unload_module(module));
    } else {
        printf("%s\n", get_load_error_str());
        return 1;
    }
    module = load_module_str("/no/such/plugin.so");
    printf("loaded %d, an error %d\n", (int)module_is_loaded(module), get_load_error_str() != NULL);
    return 0;
}
