/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients who send lines.
 *
 * The way of a line: client_receive() puts bytes behind those which are there, one recvmsg() a
 * round of the worker, and client_turn() gives one line to the user, if nothing is left to be
 * sent and the user does not wait for something.  What else there is to do is done in a later
 * round, so that a client who sends a lot does not keep the worker from its other work.
 *
 * File descriptors belong to the line which has the last byte of the message they came with;
 * what the user does not take is closed after the line.
 */
#include "lines.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

#define SIZE_FIRST 4096u		/* bytes of room for a client's lines, at first */

struct lines_client {
	struct lines_server *server;
	TAILQ_ENTRY(lines_client) entry;
	int fd;
	struct event *read_ev, *write_ev, *turn_ev;
	void *own;
	bool waits;			/* the user's answer is awaited */
	bool ended;			/* he sends nothing more */
	bool finishing;			/* no more lines; close when all is sent */
	bool broken;			/* close now */

	char *in;			/* lines, and one NUL more */
	size_t in_len, in_room;		/* bytes */
	size_t in_done;			/* given to the user */
	size_t in_seen;			/* looked through for a newline */

	int fds[LINES_FDS_MAX];
	unsigned int num_fds;
	size_t fds_at;			/* the byte in the line they belong to */

	char *out;
	size_t out_len, out_done;	/* bytes; those which are sent */
};

struct lines_server {
	struct event_base *base;
	const struct lines_ops *ops;
	void *arg;
	int fd;
	struct event *accept_ev, *retry_ev;
	TAILQ_HEAD(, lines_client) clients;	/* who was idle longest comes first */
	unsigned int num_clients;
	bool full;			/* all of them are being served: nobody is accepted */
};

/*
 * Clients
 */

static void client_close_fds(struct lines_client *c)
{
	while (c->num_fds)
		close(c->fds[--c->num_fds]);
}

static void client_free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

/* A client has gone, or could be sent away: another one may come. */
static void server_has_room(struct lines_server *server)
{
	if (server->full)
		event_add(server->accept_ev, NULL);
	server->full = false;
}

static void client_free(struct lines_client *c)
{
	struct lines_server *server = c->server;

	if (server->ops->gone)
		server->ops->gone(c);
	TAILQ_REMOVE(&server->clients, c, entry);
	server->num_clients--;
	client_free_event(c->read_ev);
	client_free_event(c->write_ev);
	client_free_event(c->turn_ev);
	client_close_fds(c);
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c);
	server_has_room(server);
}

static bool client_all_sent(const struct lines_client *c)
{
	return c->out_done == c->out_len;
}

static void client_send(struct lines_client *c)
{
	ssize_t n;

	while (!client_all_sent(c)) {
		n = send(c->fd, c->out + c->out_done, c->out_len - c->out_done,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			c->broken |= errno != EAGAIN;
			return;
		}
		c->out_done += (size_t)n;
	}
	free(c->out);
	c->out = NULL;
	c->out_len = c->out_done = 0;
}

/* Move what is left to the front, and with it the place of the descriptors. */
static void client_pack(struct lines_client *c)
{
	if (!c->in_done)
		return;
	memmove(c->in, c->in + c->in_done, c->in_len - c->in_done);
	c->in_len -= c->in_done;
	c->in_seen -= c->in_done;
	c->fds_at -= c->in_done;
	c->in_done = 0;
}

/* The end of the first line; NULL: it is not there yet. */
static char *client_newline(struct lines_client *c)
{
	char *end;

	if (c->in_seen == c->in_len)
		return NULL;
	end = memchr(c->in + c->in_seen, '\n', c->in_len - c->in_seen);
	c->in_seen = end ? (size_t)(end - c->in) : c->in_len;
	return end;
}

static bool client_ready(struct lines_client *c)
{
	return !c->waits && !c->finishing && !c->broken && client_all_sent(c) && client_newline(c);
}

static void client_line(struct lines_client *c)
{
	char *end = client_newline(c), *line = c->in + c->in_done;
	size_t len = (size_t)(end - line);

	*end = '\0';
	c->in_seen++;
	c->in_done = c->in_seen;
	c->server->ops->line(c, line, len);
	if (c->num_fds && c->fds_at < c->in_done)
		client_close_fds(c);
}

/*
 * In the next turn of the loop, when others have had theirs: an active event would be in this
 * one.
 */
static void client_turn_later(struct lines_client *c)
{
	static const struct timeval now;

	event_add(c->turn_ev, &now);
}

/* Read as long as there is room, nothing to be sent, and no line in work. */
static void client_choose_events(struct lines_client *c)
{
	bool reads = !c->ended && !c->finishing && !c->waits && client_all_sent(c) &&
		     !client_newline(c);

	if (reads)
		event_add(c->read_ev, NULL);
	else
		event_del(c->read_ev);
	if (client_all_sent(c))
		event_del(c->write_ev);
	else
		event_add(c->write_ev, NULL);
	if (client_ready(c))
		client_turn_later(c);
}

/* Nothing more is to come from him, nor to be sent to him. */
static bool client_is_over(struct lines_client *c)
{
	return c->broken || ((c->finishing || (c->ended && !c->waits && !client_newline(c))) &&
			     client_all_sent(c));
}

/* Do one line, and find out what comes next.  The client may be gone afterwards. */
static void client_turn(struct lines_client *c)
{
	if (client_ready(c))
		client_line(c);
	client_send(c);
	if (client_is_over(c))
		client_free(c);
	else
		client_choose_events(c);
}

/*
 * Receiving
 */

static bool client_make_room(struct lines_client *c)
{
	size_t room = c->in_room ? c->in_room * 2 : SIZE_FIRST;
	char *in;

	client_pack(c);
	if (c->in_len < c->in_room || c->in_room == LINES_SIZE_MAX)
		return true;
	in = realloc(c->in, room + 1);
	if (!in)
		return false;
	c->in = in;
	c->in_room = room;
	return true;
}

/* Take the descriptors of a message. */
static void client_take_fds(struct lines_client *c, struct msghdr *msg)
{
	struct cmsghdr *cmsg;
	unsigned int i, n;
	int fd;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (unsigned int)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (c->num_fds < LINES_FDS_MAX)
				c->fds[c->num_fds++] = fd;
			else
				close(fd);
		}
	}
}

static ssize_t client_recvmsg(struct lines_client *c)
{
	/* The kernel closes those for which there is no room. */
	union {
		char buf[CMSG_SPACE(sizeof(int) * LINES_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { c->in + c->in_len, c->in_room - c->in_len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return -errno;
	c->in_len += (size_t)n;
	if (msg.msg_controllen) {
		client_take_fds(c, &msg);
		c->fds_at = c->in_len - 1;
	}
	return n;
}

static void client_end(struct lines_client *c)
{
	c->ended = true;
	if (c->server->ops->end)
		c->server->ops->end(c);
}

static void client_receive(struct lines_client *c)
{
	ssize_t n;

	if (!client_make_room(c)) {
		c->broken = true;
		return;
	}
	n = client_recvmsg(c);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n < 0)
		c->broken = true;
	else if (!n)
		client_end(c);
	else if (!client_newline(c) && c->in_len - c->in_done == LINES_SIZE_MAX) {
		if (c->server->ops->too_long)
			c->server->ops->too_long(c);
		lines_finish(c);
	}
}

/* Who does something is idle less long than all others. */
static void client_active(struct lines_client *c)
{
	TAILQ_REMOVE(&c->server->clients, c, entry);
	TAILQ_INSERT_TAIL(&c->server->clients, c, entry);
}

static void client_read_event(evutil_socket_t fd, short what, void *arg)
{
	struct lines_client *c = arg;

	(void)fd, (void)what;
	client_active(c);
	client_receive(c);
	client_turn(c);
}

static void client_turn_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	client_turn(arg);
}

/*
 * For the user
 */

void *lines_arg(const struct lines_client *c)
{
	return c->server->arg;
}

void **lines_own(struct lines_client *c)
{
	return &c->own;
}

void lines_write(struct lines_client *c, const char *text, size_t len)
{
	char *out = realloc(c->out, c->out_len + len);

	if (!out) {
		c->broken = true;
		return;
	}
	memcpy(out + c->out_len, text, len);
	c->out = out;
	c->out_len += len;
}

void lines_wait(struct lines_client *c)
{
	c->waits = true;
}

void lines_go_on(struct lines_client *c)
{
	c->waits = false;
	server_has_room(c->server);
	client_turn_later(c);
}

void lines_finish(struct lines_client *c)
{
	c->finishing = true;
}

int lines_take_fd(struct lines_client *c)
{
	unsigned int i;
	int fd;

	if (!c->num_fds || c->fds_at >= c->in_done)
		return -1;
	fd = c->fds[0];
	c->num_fds--;
	for (i = 0; i < c->num_fds; i++)
		c->fds[i] = c->fds[i + 1];
	return fd;
}

/*
 * The server
 */

/*
 * Make room: close the one who was idle longest, but nobody whose line is in work.  He may have been
 * answered just now.
 */
static bool server_close_idle(struct lines_server *server)
{
	struct lines_client *c;

	TAILQ_FOREACH(c, &server->clients, entry) {
		if (!c->waits) {
			client_send(c);
			client_free(c);
			return true;
		}
	}
	return false;
}

/* The client owns fd, also when this fails. */
static void server_add_client(struct lines_server *server, int fd)
{
	struct lines_client *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return;
	}
	c->server = server;
	c->fd = fd;
	TAILQ_INSERT_TAIL(&server->clients, c, entry);
	server->num_clients++;
	c->read_ev = event_new(server->base, fd, EV_READ | EV_PERSIST, client_read_event, c);
	c->write_ev = event_new(server->base, fd, EV_WRITE | EV_PERSIST, client_turn_event, c);
	c->turn_ev = event_new(server->base, -1, 0, client_turn_event, c);
	if (!c->read_ev || !c->write_ev || !c->turn_ev || event_add(c->read_ev, NULL))
		client_free(c);
}

/* There are no more file descriptors, or there is no memory: not again at once. */
static void server_rest(struct lines_server *server)
{
	static const struct timeval second = { 1, 0 };

	if (server_close_idle(server))
		return;
	event_del(server->accept_ev);
	event_add(server->retry_ev, &second);
}

static void server_accept(evutil_socket_t fd, short what, void *arg)
{
	struct lines_server *server = arg;
	int new;

	(void)what;
	if (server->num_clients >= LINES_CLIENTS_MAX && !server_close_idle(server)) {
		/* Who comes now waits in the socket's queue. */
		event_del(server->accept_ev);
		server->full = true;
		return;
	}
	new = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (new < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		server_rest(server);
	if (new >= 0)
		server_add_client(server, new);
}

static void server_retry(evutil_socket_t fd, short what, void *arg)
{
	struct lines_server *server = arg;

	(void)fd, (void)what;
	event_add(server->accept_ev, NULL);
}

int lines_server_new(struct lines_server **result, struct event_base *base, int fd,
		     const struct lines_ops *ops, void *arg)
{
	struct lines_server *server = calloc(1, sizeof(*server));

	if (!server) {
		close(fd);
		return -ENOMEM;
	}
	server->base = base;
	server->ops = ops;
	server->arg = arg;
	server->fd = fd;
	TAILQ_INIT(&server->clients);
	server->accept_ev = event_new(base, fd, EV_READ | EV_PERSIST, server_accept, server);
	server->retry_ev = event_new(base, -1, 0, server_retry, server);
	if (!server->accept_ev || !server->retry_ev || evutil_make_socket_nonblocking(fd) ||
	    event_add(server->accept_ev, NULL)) {
		lines_server_free(server);
		return -ENOMEM;
	}
	*result = server;
	return 0;
}

void lines_server_free(struct lines_server *server)
{
	struct lines_client *c;

	while ((c = TAILQ_FIRST(&server->clients))) {
		client_send(c);
		client_free(c);
	}
	client_free_event(server->accept_ev);
	client_free_event(server->retry_ev);
	close(server->fd);
	free(server);
}
