// A client and a server of TLS in one process, over memory: two SSL_write and two SSL_read each time. `tls model` asks a model, with
// 4 KB of prompt, and is answered, 2,000 times a second, so that what is read of it can be taken in; `tls other` sends as much that
// is no HTTP, without a pause. OpenSSL is declared here, since its headers need not
// be installed.
#include "load.h"

#include <string.h>

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct bio_st BIO;
const void *TLS_method(void);
SSL_CTX *SSL_CTX_new(const void *method);
long SSL_CTX_ctrl(SSL_CTX *context, int command, long number, void *pointer);
int SSL_CTX_set_cipher_list(SSL_CTX *context, const char *list);
SSL *SSL_new(SSL_CTX *context);
void SSL_set_bio(SSL *ssl, BIO *in, BIO *out);
void SSL_set_accept_state(SSL *ssl);
void SSL_set_connect_state(SSL *ssl);
int SSL_do_handshake(SSL *ssl);
int SSL_write(SSL *ssl, const void *bytes, int length);
int SSL_read(SSL *ssl, void *bytes, int length);
int BIO_new_bio_pair(BIO **one, size_t one_size, BIO **other, size_t other_size);

enum { SET_DH_AUTO = 118, SET_MAX_PROTO_VERSION = 124, TLS1_2 = 0x0303, PROMPT = 4096, ROOM = 17 * 1024 };

static SSL *client, *server;
static char request[PROMPT + 512], answer[512], taken[ROOM];
static int request_length, answer_length;
static long pause_ns;

static void move(SSL *from, SSL *to, const char *bytes, int length) {
    if (SSL_write(from, bytes, length) != length || SSL_read(to, taken, sizeof taken) != length) {
        fprintf(stderr, "TLS failed\n");
        exit(1);
    }
}

static void work(long times) {
    for (long i = 0; i < times; i++) {
        move(client, server, request, request_length);
        move(server, client, answer, answer_length);
        if (pause_ns) {
            double from = now();
            nanosleep(&(struct timespec){.tv_nsec = pause_ns}, NULL);
            asleep += now() - from;
        }
    }
}

static void converse(int is_model) {
    char prompt[PROMPT + 1];
    memset(prompt, is_model ? 'a' : '\1', PROMPT);
    prompt[PROMPT] = 0;
    if (!is_model) {
        memcpy(request, prompt, request_length = PROMPT);
        memcpy(answer, prompt, answer_length = sizeof answer);
        return;
    }
    pause_ns = 500000;
    const char *begin = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"", *end = "\"}]}";
    request_length = sprintf(request,
                             "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                             "content-length: %zu\r\n\r\n%s%s%s",
                             strlen(begin) + PROMPT + strlen(end), begin, prompt, end);
    const char *body = "{\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}],"
                       "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}";
    answer_length = sprintf(answer, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s",
                            strlen(body), body);
}

int main(int argc, char **argv) {
    pin();
    converse(argc > 1 && !strcmp(argv[1], "model"));
    // Anonymous, so that no certificate is needed.
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    SSL_CTX_ctrl(context, SET_MAX_PROTO_VERSION, TLS1_2, NULL);
    SSL_CTX_ctrl(context, SET_DH_AUTO, 1, NULL);
    SSL_CTX_set_cipher_list(context, "ADH-AES128-GCM-SHA256:@SECLEVEL=0");
    client = SSL_new(context), server = SSL_new(context);
    BIO *ours, *theirs;
    BIO_new_bio_pair(&ours, ROOM, &theirs, ROOM);
    SSL_set_bio(client, ours, ours);
    SSL_set_bio(server, theirs, theirs);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    for (int done = 0, round = 0; done < 2; round++) {
        done = (SSL_do_handshake(client) == 1) + (SSL_do_handshake(server) == 1);
        if (round == 20) {
            fprintf(stderr, "no handshake\n");
            return 1;
        }
    }
    obey();
    return 0;
}
