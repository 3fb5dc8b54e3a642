/* Tokenizes and checks a JSON document n times; the document is edited in between. Returns a sum over the tokens. */
#include <stdint.h>
#include <string.h>

static char text[] =
    "{\"name\": \"guest\", \"version\": [1, 20, -3.5e2], \"limits\": {\"fuel\": 1000000, \"memory\": 67108864},"
    " \"capabilities\": [\"console\", \"time\", null, true, false], \"nested\": [[[[{\"a\": {\"b\": [1, 2, [3, [4]]]}}]]]],"
    " \"text\": \"a \\\"quoted\\\" word, \\u0041 and \\n\", \"empty\": {}, \"none\": []}";

static const char *at;
static int32_t sum;

static void space(void) {
    while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r') at++;
}

static int word(const char *w) {
    size_t length = strlen(w);
    if (strncmp(at, w, length)) return 0;
    at += length;
    return 1;
}

static int string(void) {
    if (*at++ != '"') return 0;
    for (; *at != '"'; at++) {
        if (!*at) return 0;
        if (*at == '\\') {
            at++;
            switch (*at) {
            case 'n': sum += 10; break;
            case 't': sum += 9; break;
            case '"': case '\\': case '/': sum += *at; break;
            case 'u':
                for (int i = 0; i < 4; i++) {
                    char c = *++at;
                    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
                    if (digit < 0) return 0;
                    sum = sum * 16 + digit;
                }
                break;
            default: return 0;
            }
        } else {
            sum = sum * 31 + *at;
        }
    }
    at++;
    return 1;
}

static int number(void) {
    double value = 0, scale = 1;
    int sign = 1, digits = 0;
    if (*at == '-') sign = -1, at++;
    for (; *at >= '0' && *at <= '9'; at++, digits++) value = value * 10 + (*at - '0');
    if (!digits) return 0;
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9'; at++) scale /= 10, value += scale * (*at - '0');
    if (*at == 'e' || *at == 'E') {
        int power = 0;
        for (at++; *at >= '0' && *at <= '9'; at++) power = power * 10 + (*at - '0');
        while (power--) value *= 10;
    }
    sum += (int32_t)(sign * value);
    return 1;
}

static int value(void) {
    space();
    switch (*at) {
    case '{':
        at++, space();
        if (*at == '}') return at++, 1;
        for (;;) {
            space();
            if (!string()) return 0;
            space();
            if (*at++ != ':' || !value()) return 0;
            space();
            if (*at == '}') return at++, 1;
            if (*at++ != ',') return 0;
        }
    case '[':
        at++, space();
        if (*at == ']') return at++, 1;
        for (;;) {
            if (!value()) return 0;
            space();
            if (*at == ']') return at++, 1;
            if (*at++ != ',') return 0;
        }
    case '"': return string();
    case 't': return word("true");
    case 'f': return word("false");
    case 'n': return word("null");
    default: return number();
    }
}

__attribute__((export_name("run"))) int32_t run(int32_t n) {
    sum = 0;
    for (int32_t i = 0; i < n; i++) {
        /* Changes a digit of the fuel; in every 16th round the document is malformed. */
        char *digit = strstr(text, "1000000") ? strstr(text, "000000") : text;
        digit[3] = (char)('0' + i % 10);
        char *comma = strchr(text, ',');
        if (i % 16 == 15 && comma) *comma = ';';
        at = text;
        int valid = value();
        sum = sum * 3 + valid;
        if (comma) *comma = ',';
        digit[3] = '0';
    }
    return sum;
}
