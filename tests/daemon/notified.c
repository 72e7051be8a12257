/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A service manager's ear: notified PATH|@NAME binds the datagram socket and prints "listening",
 * then each datagram which comes, its lines joined by "|".  It ends when it is killed.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = argc == 2 ? strlen(argv[1]) : 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[1024];
	ssize_t i, n;

	if (!len || len >= sizeof(addr.sun_path) || fd < 0)
		return 99;
	memcpy(addr.sun_path, argv[1], len);
	if (addr.sun_path[0] == '@')
		addr.sun_path[0] = '\0';
	if (bind(fd, (struct sockaddr *)&addr,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len))) {
		perror(argv[1]);
		return 99;
	}
	printf("listening\n");
	fflush(stdout);
	while ((n = recv(fd, text, sizeof(text), 0)) >= 0) {
		for (i = 0; i < n; i++)
			if (text[i] == '\n')
				text[i] = '|';
		printf("%.*s\n", (int)n, text);
		fflush(stdout);
	}
	return 99;
}
