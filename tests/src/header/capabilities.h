
/* Capabilities: what a Wasm plugin may do. */
#define CAP_NONE INT64_C(0)
#define CAP_CONSOLE INT64_C(1)     /* console output */
#define CAP_TIME INT64_C(2)        /* clocks and sleeping */
#define CAP_RANDOM INT64_C(4)      /* random numbers */
#define CAP_FS_READ INT64_C(8)     /* reading files; see sandbox_allow_dir */
#define CAP_FS_WRITE INT64_C(16)   /* writing files; see sandbox_allow_dir */
#define CAP_NETWORK INT64_C(32)    /* network; see sandbox_allow_net */
#define CAP_ENV INT64_C(64)        /* environment variables; see sandbox_allow_env */
#define CAP_PROCESS INT64_C(128)   /* running programs; see sandbox_allow_program */
#define CAP_THREADING INT64_C(256) /* workers; see sandbox_allow_workers */
#define CAP_GPU INT64_C(512)       /* graphics and compute processors; see sandbox_allow_gpu */
