/*
 * Requests at a constant rate, whatever the server does: request number i is
 * meant for start + i / rate, and its latency counts from that moment, not from
 * when a connection was free for it (no coordinated omission).
 *
 *   pace PORT RATE SECONDS CONNECTIONS < one whole request head
 *
 * Before that each connection has been answered once: to be accepted is not part of what is measured.
 *
 * Prints one line of JSON; `held` is the part of the time in which this program
 * itself was kept from running, which spoils latencies. Never runs longer than SECONDS + 5; what is not
 * answered by then counts with the time that it has waited.
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
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 1024, HEAD_BYTES = 16384, READ_BYTES = 262144, GRACE_SECONDS = 5, BUCKETS = 2000000 };

/* One turn of the loop takes less, unless somebody else has the processor. */
static const double HELD_SECONDS = 0.001;

static struct connection {
  int fd;
  long index; /* of the request that is under way */
  size_t head_length;
  long body_left; /* -1 while the head is not whole */
  char head[HEAD_BYTES + 1];
} connections[MAX_CONNECTIONS];

static unsigned histogram[BUCKETS + 1]; /* by microseconds; the last one holds all that took longer */
static double longest_micros;

static double now_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void note(double micros) {
  if (micros < 0) micros = 0;
  if (micros > longest_micros) longest_micros = micros;
  histogram[micros < BUCKETS ? (int)micros : BUCKETS]++;
}

static double quantile(double part, long total) {
  long rank = (long)(part * (double)total), seen = 0;
  for (int i = 0; i <= BUCKETS; i++) {
    seen += histogram[i];
    if (seen > rank) return i;
  }
  return longest_micros;
}

/* Takes bytes of an answer. Returns 1 when it is whole, 0 when more is to come, -1 when it is not understood. */
static int take(struct connection *c, const char *bytes, size_t length) {
  if (c->body_left < 0) {
    if (c->head_length + length > HEAD_BYTES) {
      size_t room = HEAD_BYTES - c->head_length;
      memcpy(c->head + c->head_length, bytes, room);
      c->head[HEAD_BYTES] = 0;
      char *end = strstr(c->head, "\r\n\r\n");
      if (!end) return -1;
    } else {
      memcpy(c->head + c->head_length, bytes, length);
      c->head[c->head_length + length] = 0;
    }
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end) {
      c->head_length += length;
      return 0;
    }
    size_t head = (size_t)(end + 4 - c->head) - c->head_length; /* bytes of this piece that are still head */
    *end = 0;
    if (strncmp(c->head, "HTTP/1.1 200", 12) != 0) return -1;
    char *field = strcasestr(c->head, "\r\ncontent-length:");
    if (!field) return -1;
    c->body_left = atol(field + 17);
    bytes += head;
    length -= head;
  }
  c->body_left -= (long)length;
  if (c->body_left < 0) return -1;
  return c->body_left == 0;
}

/* Asks once, and waits for the answer. */
static void ask_once(struct connection *c, const char *request, size_t length) {
  static char buffer[READ_BYTES];
  c->head_length = 0;
  c->body_left = -1;
  if (write(c->fd, request, length) != (ssize_t)length) fail("write");
  for (int state = 0; state == 0;) {
    ssize_t n = read(c->fd, buffer, sizeof buffer);
    state = n <= 0 ? -1 : take(c, buffer, (size_t)n);
    if (state < 0) {
      fprintf(stderr, "pace: a connection is not answered\n");
      exit(1);
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: pace PORT RATE SECONDS CONNECTIONS < request\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  double rate = atof(argv[2]), seconds = atof(argv[3]);
  int count = atoi(argv[4]);
  if (!(rate > 0) || !(seconds > 0) || count < 1 || count > MAX_CONNECTIONS) return 2;
  static char request[HEAD_BYTES];
  size_t request_length = fread(request, 1, sizeof request, stdin);

  int epoll = epoll_create1(0);
  static struct connection *idle[MAX_CONNECTIONS]; /* a ring: the one that rests longest is next */
  int idle_first = 0, idle_count = 0;
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(argv[1])),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  for (int i = 0; i < count; i++) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    struct timeval patience = {.tv_sec = GRACE_SECONDS};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    connections[i].fd = fd;
    ask_once(&connections[i], request, request_length);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
    idle[idle_count++] = &connections[i];
  }

  long total = (long)(rate * seconds), sent = 0, done = 0;
  double start = now_seconds() + 0.01, end = start + seconds + GRACE_SECONDS, now = start, latest = 0;
  double turned = now_seconds(), held = 0;
  static char buffer[READ_BYTES];
  struct epoll_event events[256];
  while (done < total && now < end) {
    now = now_seconds();
    if (now - turned > HELD_SECONDS) held += now - turned;
    turned = now;
    long due = now < start ? 0 : (long)((now - start) * rate) + 1;
    if (due > total) due = total;
    while (sent < due && idle_count > 0) {
      struct connection *c = idle[idle_first];
      idle_first = (idle_first + 1) % MAX_CONNECTIONS;
      idle_count--;
      c->index = sent++;
      c->head_length = 0;
      c->body_left = -1;
      if (write(c->fd, request, request_length) != (ssize_t)request_length) fail("write");
    }
    /* A free processor is taken for granted: waiting for the next moment by turning round is the most exact way. */
    int ready = epoll_wait(epoll, events, 256, 0);
    for (int i = 0; i < ready; i++) {
      struct connection *c = events[i].data.ptr;
      ssize_t n = read(c->fd, buffer, sizeof buffer);
      if (n < 0 && errno == EAGAIN) continue;
      int state = n <= 0 ? -1 : take(c, buffer, (size_t)n);
      if (state < 0) {
        fprintf(stderr, "pace: %s\n", n <= 0 ? "the server closed a connection" : "an answer is not understood");
        return 1;
      }
      if (state == 0) continue;
      now = now_seconds();
      note((now - start - (double)c->index / rate) * 1e6);
      latest = now;
      done++;
      idle[(idle_first + idle_count++) % MAX_CONNECTIONS] = c;
    }
  }
  long waiting = total - done;
  for (int i = 0; i < count; i++) {
    struct connection *c = &connections[i];
    int rests = 0;
    for (int j = 0; j < idle_count; j++) rests |= idle[(idle_first + j) % MAX_CONNECTIONS] == c;
    if (!rests) note((now - start - (double)c->index / rate) * 1e6);
  }
  for (long i = sent; i < total; i++) note((now - start - (double)i / rate) * 1e6);
  printf("{\"requests\":%ld,\"unanswered\":%ld,\"seconds\":%.6f,\"p50Micros\":%.0f,\"p90Micros\":%.0f,"
         "\"p99Micros\":%.0f,\"p999Micros\":%.0f,\"maxMicros\":%.0f,\"held\":%.4f}\n",
         total, waiting, (done > 0 ? latest : now) - start, quantile(0.5, total), quantile(0.9, total),
         quantile(0.99, total), quantile(0.999, total), longest_micros, held / (now_seconds() - start));
  return 0;
}
