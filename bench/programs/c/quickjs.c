/* run(n): runs a JavaScript program n times: objects, strings, closures, a regular expression, JSON. */
#include <stdio.h>
#include <string.h>

#include "input.h"
#include "quickjs.h"

static const char script[] =
    "let sum = 0;\n"
    "for (let round = 1; round <= n; round++) {\n"
    "  const rows = [];\n"
    "  for (let i = 0; i < 100; i++) rows.push({id: i, name: `row ${i * 7919 % 97}`, tags: [i % 3, i % 5]});\n"
    "  const text = JSON.stringify(rows.filter(row => row.tags[0] !== 1));\n"
    "  const back = JSON.parse(text).map(row => row.name).sort();\n"
    "  for (const match of back.join(' ').matchAll(/row (\\d+)/g)) sum = (sum + Number(match[1]) * round) % 1000003;\n"
    "  const counts = new Map();\n"
    "  for (const word of back) counts.set(word, (counts.get(word) ?? 0) + 1);\n"
    "  sum += counts.size;\n"
    "}\n"
    "sum\n";

EXPORT("run") int32_t run(int32_t n) {
    JSRuntime *runtime = JS_NewRuntime();
    if (!runtime) return -1;
    /* Disables the stack check: the engine would measure a stack that is not the one of this machine. */
    JS_SetMaxStackSize(runtime, 0);
    JSContext *context = JS_NewContext(runtime);
    if (!context) return -2;
    JSValue global = JS_GetGlobalObject(context);
    JS_SetPropertyStr(context, global, "n", JS_NewInt32(context, n));
    JS_FreeValue(context, global);
    JSValue value = JS_Eval(context, script, strlen(script), "bench.js", JS_EVAL_TYPE_GLOBAL);
    int32_t sum = -3;
    if (!JS_IsException(value)) JS_ToInt32(context, &sum, value);
    JS_FreeValue(context, value);
    JS_FreeContext(context);
    JS_FreeRuntime(runtime);
    return sum;
}
