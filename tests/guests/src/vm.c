/* Interprets a small stack machine that counts the steps of the Collatz sequences of 1 to n. */
#include <stdint.h>

/* variables: 0 n, 1 i, 2 x, 3 steps */
enum op { PUSH, LOAD, STORE, ADD, SUB, MUL, DIV, MOD, LESS, EQUAL, JUMP, JUMP_IF_ZERO, HALT };

static int32_t code[128];
static int at;

static int emit(int32_t word) {
    code[at] = word;
    return at++;
}

static void build(void) {
    at = 0;
    emit(PUSH), emit(1), emit(STORE), emit(1), emit(PUSH), emit(0), emit(STORE), emit(3);
    int outer = at;
    emit(LOAD), emit(0), emit(LOAD), emit(1), emit(LESS), emit(JUMP_IF_ZERO);
    int enter = emit(0);
    emit(HALT);
    code[enter] = at;
    emit(LOAD), emit(1), emit(STORE), emit(2);
    int inner = at;
    emit(LOAD), emit(2), emit(PUSH), emit(1), emit(EQUAL), emit(JUMP_IF_ZERO);
    int body = emit(0);
    emit(LOAD), emit(1), emit(PUSH), emit(1), emit(ADD), emit(STORE), emit(1), emit(JUMP), emit(outer);
    code[body] = at;
    emit(LOAD), emit(3), emit(PUSH), emit(1), emit(ADD), emit(STORE), emit(3);
    emit(LOAD), emit(2), emit(PUSH), emit(2), emit(MOD), emit(JUMP_IF_ZERO);
    int even = emit(0);
    emit(PUSH), emit(3), emit(LOAD), emit(2), emit(MUL), emit(PUSH), emit(1), emit(ADD), emit(STORE), emit(2);
    emit(JUMP), emit(inner);
    code[even] = at;
    emit(LOAD), emit(2), emit(PUSH), emit(2), emit(DIV), emit(STORE), emit(2), emit(JUMP), emit(inner);
}

__attribute__((export_name("run"))) int64_t run(int32_t n) {
    int64_t stack[16], variables[4] = {n};
    int top = 0;
    build();
    for (int pc = 0;;) {
        int64_t b;
        switch ((enum op)code[pc++]) {
        case PUSH: stack[top++] = code[pc++]; break;
        case LOAD: stack[top++] = variables[code[pc++]]; break;
        case STORE: variables[code[pc++]] = stack[--top]; break;
        case ADD: b = stack[--top], stack[top - 1] += b; break;
        case SUB: b = stack[--top], stack[top - 1] -= b; break;
        case MUL: b = stack[--top], stack[top - 1] *= b; break;
        case DIV: b = stack[--top], stack[top - 1] /= b; break;
        case MOD: b = stack[--top], stack[top - 1] %= b; break;
        case LESS: b = stack[--top], stack[top - 1] = stack[top - 1] < b; break;
        case EQUAL: b = stack[--top], stack[top - 1] = stack[top - 1] == b; break;
        case JUMP: pc = code[pc]; break;
        case JUMP_IF_ZERO: pc = stack[--top] ? pc + 1 : code[pc]; break;
        case HALT: return variables[3];
        }
    }
}
