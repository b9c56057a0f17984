// A server on standard input and output that asks a model at each request, by a TLS library of its own whose functions
// call libc's `read` and `write`, as musl's and newer glibc's are probed. Its TLS codes nothing, and its model is itself.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORTED __attribute__((noinline, visibility("default")))

struct ssl_st {
    int asked[2], answered[2];
};

EXPORTED int SSL_write(struct ssl_st *ssl, const void *buffer, int count)
{
    return (int)write(ssl->asked[1], buffer, (size_t)count);
}

EXPORTED int SSL_read(struct ssl_st *ssl, void *buffer, int count)
{
    return (int)read(ssl->answered[0], buffer, (size_t)count);
}

EXPORTED void SSL_free(struct ssl_st *ssl)
{
    close(ssl->asked[1]);
    close(ssl->answered[0]);
}

static const char ANSWER[] =
    "{\"id\":\"c\",\"object\":\"chat.completion\",\"model\":\"nested-1\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
    "\"assistant\",\"content\":\"PLANTED\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,"
    "\"completion_tokens\":7,\"total_tokens\":12}}";

static void ask(struct ssl_st *ssl)
{
    char text[4096];
    const char *body = "{\"model\":\"nested\",\"messages\":[{\"role\":\"user\",\"content\":\"PLANTED\"}]}";
    int length = snprintf(text, sizeof text,
                          "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                          "content-length: %zu\r\n\r\n%s",
                          strlen(body), body);
    if (SSL_write(ssl, text, length) != length || read(ssl->asked[0], text, sizeof text) != length)
        exit(99);
    length = snprintf(text, sizeof text,
                      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s",
                      strlen(ANSWER), ANSWER);
    if (write(ssl->answered[1], text, (size_t)length) != length || SSL_read(ssl, text, sizeof text) != length)
        exit(99);
}

int main(void)
{
    struct ssl_st ssl;
    char line[65536], answer[256];
    size_t held = 0;
    if (pipe(ssl.asked) || pipe(ssl.answered))
        return 99;
    for (ssize_t got; (got = read(0, line + held, sizeof line - 1 - held)) > 0;) {
        held += (size_t)got;
        line[held] = 0;
        if (!strchr(line, '\n'))
            continue;
        ask(&ssl);
        const char *id = strstr(line, "\"id\": ");
        int length = snprintf(answer, sizeof answer, "{\"jsonrpc\": \"2.0\", \"id\": %d, \"result\": {}, \"took\": 0}\n",
                              id ? atoi(id + 6) : 0);
        if (write(1, answer, (size_t)length) != length)
            return 99;
        held = 0;
    }
    SSL_free(&ssl);
    return 0;
}
