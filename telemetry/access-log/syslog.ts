/**
 * Messages of syslog (RFC 5424), by UDP (RFC 5426), or by TCP or a stream socket of the machine with a line feed behind
 * each (RFC 6587, section 3.4.2: no line here has one inside).
 * @module
 */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { Writable } from 'node:stream';
import type { SyslogAddress } from '../../config/syslog-address.ts';

/** RFC 5424, section 6.2.1: facility local0, severity informational. */
const PRIORITY = 16 * 8 + 6;

/** Section 6.2.4: at most 255 visible characters. */
const HOST =
  hostname()
    .replace(/[^!-~]/g, '')
    .slice(0, 255) || '-';

/** @returns The header of a message: what follows it, up to the line feed, is the message itself. */
export function syslogHeader(time: number): string {
  return `<${PRIORITY}>1 ${new Date(time).toISOString()} ${HOST} seawall ${process.pid} access - `;
}

export function openSyslog(address: SyslogAddress): Writable {
  switch (address.kind) {
    case 'udp':
      return new Datagrams(address);
    case 'tcp':
      return connect({ host: address.host, port: address.port });
    case 'unix':
      return connect({ path: address.path });
  }
}

/** Longest datagram that IPv4 carries. */
const MAX_DATAGRAM_BYTES = 65_507;

/** Each line that is written is a datagram; one that is too long is cut off. */
class Datagrams extends Writable {
  readonly #socket: ReturnType<typeof createSocket>;
  readonly #address: { readonly host: string; readonly port: number };

  constructor(address: { readonly host: string; readonly port: number }) {
    super({ decodeStrings: true });
    this.#address = address;
    this.#socket = createSocket(address.host.includes(':') ? 'udp6' : 'udp4');
    this.#socket.on('error', (error) => this.destroy(error));
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const lines = chunk
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '');
    const sendFrom = (index: number): void => {
      const line = lines[index];
      if (line === undefined) done();
      else this.#send(line, (error) => (error ? done(error) : sendFrom(index + 1)));
    };
    sendFrom(0);
  }

  #send(line: string, sent: (error: Error | null) => void): void {
    const { host, port } = this.#address;
    this.#socket.send(Buffer.from(line).subarray(0, MAX_DATAGRAM_BYTES), port, host, sent);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.close(() => done(error));
  }
}
