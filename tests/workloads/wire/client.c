// Calls a model by OpenSSL, which is linked in, as it is told line by line, and says what it saw of each call.
//
// Usage: client PORT CERTIFICATE. Commands: `chat MODEL`, `stream MODEL`, `messages MODEL`.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char request[32768], answer[1 << 20], prompt[10240];

static double now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec + at.tv_nsec / 1e9;
}

static void check(int is_right, const char *what)
{
	if (!is_right) {
		fprintf(stderr, "%s failed\n", what);
		exit(1);
	}
}

static SSL *connected(int port, const char *certificate)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
	check(!connect(fd, (struct sockaddr *)&to, sizeof to), "connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	check(SSL_CTX_load_verify_locations(context, certificate, NULL), "the certificate");
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL *ssl = SSL_new(context);
	SSL_set_fd(ssl, fd);
	check(SSL_connect(ssl) == 1, "the handshake");
	return ssl;
}

static int asked(const char *command, const char *model)
{
	static char body[16384];
	int is_messages = !strcmp(command, "messages");
	const char *options = is_messages ? ",\"max_tokens\":100,\"stream\":true"
		: !strcmp(command, "stream") ? ",\"stream\":true,\"stream_options\":{\"include_usage\":true}" : "";
	int length = snprintf(body, sizeof body, "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]%s}",
		model, prompt, options);
	return snprintf(request, sizeof request,
		"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer PLANTED-KEY\r\nContent-Type: application/json\r\n"
		"Content-Length: %d\r\n\r\n%s", is_messages ? "/v1/messages" : "/v1/chat/completions", length, body);
}

// Calls, every other time by the functions that store how much they moved.
static void call(SSL *ssl, const char *command, const char *model)
{
	static int calls;
	int by_pointer = calls++ & 1, length = asked(command, model);
	size_t moved = 0, got = 0;
	double start = now(), first = 0;
	if (by_pointer)
		check(SSL_write_ex(ssl, request, length, &moved) == 1, "writing");
	else
		check(SSL_write(ssl, request, length) == length, "writing");
	do {
		moved = 0;
		if (by_pointer)
			check(SSL_read_ex(ssl, answer + got, sizeof answer - 1 - got, &moved) == 1, "reading");
		else
			moved = SSL_read(ssl, answer + got, sizeof answer - 1 - got);
		check(moved > 0 && moved < sizeof answer, "reading");
		answer[got += moved] = 0;
		if (!first && (strstr(answer, "\"content\":\"PLANTED") || strstr(answer, "\"text\":\"PLANTED")))
			first = now() - start;
	} while (got < 7 || strcmp(answer + got - 7, "\r\n0\r\n\r\n"));
	printf("{\"status\": %d, \"seconds\": %f, \"first\": ", atoi(answer + 9), now() - start);
	if (strcmp(command, "chat"))
		printf("%f}\n", first);
	else
		puts("null}");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	check(argc == 3, "usage: client PORT CERTIFICATE");
	strcpy(prompt, "PLANTED-PROMPT ");
	while (strlen(prompt) < sizeof prompt - 8)
		strcat(prompt, "long ");
	SSL *ssl = connected(atoi(argv[1]), argv[2]);
	puts("{\"ready\": true}");
	fflush(stdout);
	char command[16], model[64];
	while (scanf("%15s %63s", command, model) == 2)
		call(ssl, command, model);
	return 0;
}
