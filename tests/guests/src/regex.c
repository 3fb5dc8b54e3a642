/* A backtracking matcher for . * + ? [a-z] ^ $ and ( | ), run n times over some texts. Returns a checksum of the match positions. */
#include <stdint.h>

static const char *match_here(const char *re, const char *end, const char *text);

static const char *item_end(const char *re, const char *end) {
    if (*re == '[') {
        while (re < end && *re != ']') re++;
        return re + 1;
    }
    if (*re == '(') {
        int depth = 0;
        do {
            if (*re == '(') depth++;
            if (*re == ')') depth--;
            re++;
        } while (depth && re < end);
        return re;
    }
    return re + 1;
}

static int match_class(const char *re, const char *end, char c) {
    int negated = *re == '^', found = 0;
    if (negated) re++;
    for (; re < end; re++) {
        if (re + 2 < end && re[1] == '-') {
            if (c >= re[0] && c <= re[2]) found = 1;
            re += 2;
        } else if (*re == c) {
            found = 1;
        }
    }
    return found != negated;
}

static int match_one(const char *re, const char *end, char c) {
    if (!c) return 0;
    if (*re == '.') return 1;
    if (*re == '[') return match_class(re + 1, end - 1, c);
    return *re == c;
}

/* Each alternative of a group, followed by the rest of the pattern. */
static const char *match_group(const char *re, const char *group_end, const char *end, const char *text) {
    const char *start = re;
    int depth = 0;
    for (const char *p = re; p <= group_end; p++) {
        if (*p == '(') depth++;
        if (p < group_end && *p == ')') depth--;
        if (p == group_end || (*p == '|' && !depth)) {
            const char *after = match_here(start, p, text);
            if (after && (after = match_here(group_end + 1, end, after))) return after;
            start = p + 1;
        }
    }
    return 0;
}

static const char *match_here(const char *re, const char *end, const char *text) {
    if (re >= end) return text;
    if (*re == '$' && re + 1 == end) return *text ? 0 : text;
    const char *next = item_end(re, end);
    char times = next < end ? *next : 0;
    if (*re == '(') return match_group(re + 1, next - 1, end, text);
    if (times == '*' || times == '+' || times == '?') {
        const char *from = text;
        if (times == '?') {
            if (match_one(re, next, *text)) text++;
        } else {
            while (match_one(re, next, *text)) text++;
        }
        const char *least = times == '+' ? from + 1 : from;
        for (; text >= least; text--) {
            const char *after = match_here(next + 1, end, text);
            if (after) return after;
        }
        return 0;
    }
    return match_one(re, next, *text) ? match_here(next, end, text + 1) : 0;
}

static int length(const char *s) {
    int n = 0;
    while (s[n]) n++;
    return n;
}

static int search(const char *re, const char *text) {
    const char *end = re + length(re);
    if (*re == '^') {
        const char *after = match_here(re + 1, end, text);
        return after ? (int)(after - text) + 1 : 0;
    }
    for (const char *from = text;; from++) {
        const char *after = match_here(re, end, from);
        if (after) return (int)(after - text) * 64 + (int)(from - text) + 1;
        if (!*from) return 0;
    }
}

__attribute__((export_name("run"))) int32_t run(int32_t n) {
    static const char *patterns[] = {
        "^[a-z]+_[0-9]*$", "(open|close)d? fd [0-9]+", "x*x*x*y", "a.c", "^.*(fuel|stack).*limit$", "[^a-z]+$",
        "(a|b|ab)(c|bcd)$", "colou?r",
    };
    static const char *texts[] = {
        "plugin_42", "the call closed fd 17 late", "xxxxxxxxxxxxxxxx", "zzzabcddd", "out of fuel: above the limit",
        "UPPER 123", "abcd", "what color is it, what colour",
    };
    int32_t sum = 0;
    for (int32_t round = 0; round < n; round++)
        for (int p = 0; p < 8; p++)
            for (int t = 0; t < 8; t++) sum = sum * 7 + search(patterns[p], texts[(t + round) & 7]);
    return sum;
}
