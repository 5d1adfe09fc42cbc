/*
 * The floor: what a hit costs when nothing is done for it. One epoll loop that
 * reads until a request head ends and writes one fixed answer for each head: no
 * parsing, no cache, no log, no limits. A yardstick, not a server.
 *
 *   floor PORT BODY_BYTES
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_EVENTS = 256, MAX_FILES = 65536, READ_BYTES = 65536 };

/* What is left of the answers to a connection: whole ones to come, and where in the present one it stands. */
static struct {
  unsigned matched; /* bytes of "\r\n\r\n" seen at the end of what was read */
  unsigned owed;
  size_t sent;
} connections[MAX_FILES];

static char *answer;
static size_t answer_bytes;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void make_answer(size_t body_bytes) {
  answer = malloc(512 + body_bytes);
  if (!answer) fail("malloc");
  int head = snprintf(answer, 512,
                      "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                      "Content-Type: text/css; charset=utf-8\r\nContent-Length: %zu\r\n"
                      "Cache-Control: public, max-age=86400\r\nETag: \"floor\"\r\n"
                      "Last-Modified: Wed, 31 Dec 2025 00:00:00 GMT\r\nAge: 1\r\n\r\n",
                      body_bytes);
  memset(answer + head, 'a', body_bytes);
  answer_bytes = (size_t)head + body_bytes;
}

/* Returns -1 when the connection is gone, 1 when it must wait, 0 when all is written. */
static int pay(int fd) {
  while (connections[fd].owed > 0) {
    ssize_t n = write(fd, answer + connections[fd].sent, answer_bytes - connections[fd].sent);
    if (n < 0) return errno == EAGAIN ? 1 : -1;
    connections[fd].sent += (size_t)n;
    if (connections[fd].sent == answer_bytes) {
      connections[fd].sent = 0;
      connections[fd].owed--;
    }
  }
  return 0;
}

static void count_heads(int fd, const char *bytes, ssize_t length) {
  unsigned matched = connections[fd].matched;
  for (ssize_t i = 0; i < length; i++) {
    if (bytes[i] == '\n') {
      matched = matched == 1 ? 2 : matched == 3 ? 4 : 0;
    } else if (bytes[i] == '\r') {
      matched = matched == 2 ? 3 : 1;
    } else {
      matched = 0;
    }
    if (matched == 4) {
      connections[fd].owed++;
      matched = 0;
    }
  }
  connections[fd].matched = matched;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: floor PORT BODY_BYTES\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  make_answer(strtoul(argv[2], NULL, 10));

  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(argv[1])),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 511)) fail("listen");
  int epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event)) fail("epoll");

  static char buffer[READ_BYTES];
  struct epoll_event events[MAX_EVENTS];
  for (;;) {
    int ready = epoll_wait(epoll, events, MAX_EVENTS, -1);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        int accepted;
        while ((accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
          if (accepted >= MAX_FILES) {
            close(accepted);
            continue;
          }
          memset(&connections[accepted], 0, sizeof connections[accepted]);
          setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
          struct epoll_event added = {.events = EPOLLIN, .data.fd = accepted};
          epoll_ctl(epoll, EPOLL_CTL_ADD, accepted, &added);
        }
        continue;
      }
      int wants_out = (events[i].events & EPOLLOUT) != 0;
      if (events[i].events & EPOLLIN) {
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
          close(fd);
          continue;
        }
        if (n > 0) count_heads(fd, buffer, n);
      }
      int left = pay(fd);
      if (left < 0 || (events[i].events & (EPOLLERR | EPOLLHUP))) {
        close(fd);
      } else if (left != wants_out) {
        struct epoll_event changed = {.events = EPOLLIN | (left ? EPOLLOUT : 0), .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &changed);
      }
    }
  }
}
