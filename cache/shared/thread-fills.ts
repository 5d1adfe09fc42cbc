/**
 * Fills that threads follow: claims in shared memory say which thread fetches what (fill-claims.ts), and messages carry
 * head and body from that thread to those that follow, at their pace.
 *
 * Two threads have one channel, made when the first of them follows the other; either can use it. It closes when one of
 * them ends: what has followed it begins anew.
 * @module
 */
import { MessageChannel, type MessagePort, postMessageToThread, threadId } from 'node:worker_threads';
import type { RawHeaders } from '../../http/fields/headers.ts';
import type { JournalPosition } from '../ledger.ts';
import type {
  FillFollower,
  FollowedFills,
  FollowedFlow,
  SentOutcome,
  ThreadClaim,
  ThreadFill,
  ThreadFills,
} from '../thread-fills.ts';
import type { OtherClaim } from './fill-claims.ts';
import type { SharedStore } from './shared-store.ts';

/** First message to a thread, with one end of the channel. */
interface Contact {
  readonly kind: typeof CONTACT;
  readonly port: MessagePort;
}

const CONTACT = 'seawall.fills';

/** Time after which a claim is taken to be of a thread that has ended, though nothing has said so. */
const ENDING_MS = 15_000;

/** @param id - Of the follower, in the thread that it is in. */
type Message =
  | { readonly kind: 'follow'; readonly id: number; readonly place: string; readonly position: JournalPosition }
  | { readonly kind: 'pause' | 'resume' | 'leave'; readonly id: number }
  | { readonly kind: 'outcome'; readonly id: number; readonly outcome: SentOutcome }
  | { readonly kind: 'data'; readonly id: number; readonly chunk: Uint8Array }
  | { readonly kind: 'received'; readonly id: number; readonly bytes: number }
  | { readonly kind: 'end'; readonly id: number; readonly trailers: RawHeaders }
  | { readonly kind: 'lost'; readonly id: number };

/** End of a channel between two threads: a `MessagePort`. */
export interface FillPort {
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void;
  close(): void;
  onMessage(receive: (message: unknown) => void): void;
  onClose(closed: () => void): void;
}

/** Means by which threads reach each other. */
export interface FillContacts {
  /** Opens a channel to a thread. Its port closes when the thread has ended, or has not begun. */
  open(token: number): FillPort;
  /** Takes the ports of channels that others open. @returns What ends that. */
  listen(token: number, onPort: (port: FillPort) => void): () => void;
}

/** Threads of this process. */
class ThreadContacts implements FillContacts {
  readonly #store: SharedStore;

  constructor(store: SharedStore) {
    this.#store = store;
  }

  open(token: number): FillPort {
    const { port1, port2 } = new MessageChannel();
    const contact: Contact = { kind: CONTACT, port: port2 };
    postMessageToThread(this.#store.threads.threadOf(token), contact, [port2]).catch(() => port1.close());
    return portOf(port1);
  }

  listen(token: number, onPort: (port: FillPort) => void): () => void {
    this.#store.threads.begin(token, threadId);
    const onContact = (value: unknown): void => {
      const { kind, port } = value as Partial<Contact>;
      if (kind === CONTACT && port !== undefined) onPort(portOf(port));
    };
    process.on('workerMessage', onContact);
    return () => process.off('workerMessage', onContact);
  }
}

function portOf(port: MessagePort): FillPort {
  return {
    postMessage: (message, transfer = []) => port.postMessage(message, transfer),
    close: () => port.close(),
    onMessage(receive) {
      port.on('message', receive);
      port.unref();
    },
    onClose: (closed) => void port.on('close', closed),
  };
}

export class SharedThreadFills implements ThreadFills {
  readonly #store: SharedStore;
  readonly #token: number;
  readonly #contacts: FillContacts;
  readonly #stopListening: () => void;
  readonly #channels = new Map<number, Channel>();
  #fills: FollowedFills = { follow: () => undefined };

  constructor(store: SharedStore, token: number, contacts: FillContacts = new ThreadContacts(store)) {
    this.#store = store;
    this.#token = token;
    this.#contacts = contacts;
    this.#stopListening = contacts.listen(token, (port) => this.#channel(port, () => undefined));
  }

  get count(): number {
    return this.#store.threadsInUse;
  }

  serve(fills: FollowedFills): void {
    this.#fills = fills;
  }

  claim(place: string): ThreadClaim | ThreadFill | undefined {
    for (;;) {
      const claim = this.#store.claim(place);
      if (claim.kind === 'full') return undefined;
      if (claim.kind === 'own') return claim;
      if (claim.thread !== this.#token) return this.#fillOf(place, claim);
      claim.revoke(); // of an earlier fill of this thread, whose place the next one takes
    }
  }

  invalidations(key: string): number {
    return this.#store.invalidations(key);
  }

  invalidated(key: string): void {
    this.#store.invalidated(key);
  }

  close(): void {
    this.#stopListening();
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  #fillOf(place: string, claim: OtherClaim): ThreadFill {
    return {
      kind: 'other',
      ended: (timeoutMs) => claim.ended(timeoutMs),
      follow: (position, follower) => this.#channelTo(claim.thread).follow(place, position, claim, follower),
    };
  }

  #channelTo(token: number): Channel {
    const known = this.#channels.get(token);
    if (known !== undefined) return known;
    const channel = this.#channel(this.#contacts.open(token), () => this.#channels.delete(token));
    this.#channels.set(token, channel);
    return channel;
  }

  #channel(port: FillPort, onClosed: () => void): Channel {
    return new Channel(port, (place, position, follower) => this.#fills.follow(place, position, follower), onClosed);
  }
}

/** A follower in this thread. */
interface Following {
  readonly follower: FillFollower;
  readonly claim: OtherClaim;
  hasOutcome: boolean;
}

/** Bytes on their way to a follower at which the fill waits until it has received some. */
const MAX_SENT_BYTES = 512 * 1024;

/** A follower in another thread. */
interface Followed {
  readonly flow: FollowedFlow;
  /** Bytes that it has not received yet. */
  sent: number;
  isFull: boolean;
  /** True while the follower has enough. */
  isPaused: boolean;
}

/** Channel between another thread and this one. */
class Channel {
  readonly #port: FillPort;
  readonly #follow: FollowedFills['follow'];
  readonly #onClosed: () => void;
  readonly #following = new Map<number, Following>();
  readonly #followed = new Map<number, Followed>();
  #last = 0;
  #isClosed = false;

  constructor(port: FillPort, follow: FollowedFills['follow'], onClosed: () => void) {
    this.#port = port;
    this.#follow = follow;
    this.#onClosed = onClosed;
    port.onMessage((message) => this.#onMessage(message as Message));
    port.onClose(() => this.#onClose());
  }

  follow(place: string, position: JournalPosition, claim: OtherClaim, follower: FillFollower): FollowedFlow {
    const id = ++this.#last;
    this.#following.set(id, { follower, claim, hasOutcome: false });
    if (this.#isClosed) queueMicrotask(() => this.#lose(id));
    else this.#send({ kind: 'follow', id, place, position });
    return {
      pause: () => this.#send({ kind: 'pause', id }),
      resume: () => this.#send({ kind: 'resume', id }),
      leave: () => {
        if (this.#following.delete(id)) this.#send({ kind: 'leave', id });
      },
    };
  }

  close(): void {
    this.#port.close();
  }

  #send(message: Message): void {
    if (!this.#isClosed) this.#port.postMessage(message);
  }

  #onMessage(message: Message): void {
    const { id } = message;
    switch (message.kind) {
      case 'follow':
        this.#onFollow(message);
        break;
      case 'pause':
      case 'resume':
        this.#change(id, (followed) => {
          followed.isPaused = message.kind === 'pause';
        });
        break;
      case 'received':
        this.#change(id, (followed) => {
          followed.sent -= message.bytes;
          if (followed.sent <= MAX_SENT_BYTES / 2) followed.isFull = false;
        });
        break;
      case 'leave':
        this.#followed.get(id)?.flow.leave();
        this.#followed.delete(id);
        break;
      case 'outcome':
        this.#onOutcome(id, message.outcome);
        break;
      case 'data': {
        const { buffer, byteLength: bytes } = message.chunk;
        this.#send({ kind: 'received', id, bytes });
        this.#following.get(id)?.follower.onData(Buffer.from(buffer, 0, bytes));
        break;
      }
      case 'end': {
        const following = this.#following.get(id);
        this.#following.delete(id);
        following?.follower.onEnd(message.trailers);
        break;
      }
      case 'lost':
        this.#lose(id);
        break;
    }
  }

  #onFollow({ id, place, position }: Extract<Message, { kind: 'follow' }>): void {
    const flow = this.#follow(place, position, {
      onOutcome: (outcome) => this.#send({ kind: 'outcome', id, outcome }),
      onData: (chunk) => {
        if (this.#isClosed) return;
        // A copy: what is transferred is not here any more, and others read the chunk.
        const copy = new Uint8Array(chunk);
        this.#port.postMessage({ kind: 'data', id, chunk: copy } satisfies Message, [copy.buffer]);
        this.#change(id, (followed) => {
          followed.sent += copy.length;
          if (followed.sent > MAX_SENT_BYTES) followed.isFull = true;
        });
      },
      onEnd: (trailers) => {
        this.#followed.delete(id);
        this.#send({ kind: 'end', id, trailers });
      },
      onLost: () => {
        this.#followed.delete(id);
        this.#send({ kind: 'lost', id });
      },
    });
    if (flow === undefined) this.#send({ kind: 'outcome', id, outcome: { kind: 'gone' } });
    else this.#followed.set(id, { flow, sent: 0, isFull: false, isPaused: false });
  }

  /** Changes what is known of a follower, and holds its flow or lets it go on accordingly. */
  #change(id: number, change: (followed: Followed) => void): void {
    const followed = this.#followed.get(id);
    if (followed === undefined) return;
    const wasHeld = followed.isPaused || followed.isFull;
    change(followed);
    const isHeld = followed.isPaused || followed.isFull;
    if (isHeld === wasHeld) return;
    if (isHeld) followed.flow.pause();
    else followed.flow.resume();
  }

  #onOutcome(id: number, outcome: SentOutcome): void {
    const following = this.#following.get(id);
    if (following === undefined) return;
    following.hasOutcome = true;
    if (outcome.kind === 'gone') following.claim.revoke(); // or the next one would be sent there, too
    if (outcome.kind !== 'response' || !outcome.shareable) this.#following.delete(id);
    following.follower.onOutcome(outcome);
  }

  #lose(id: number): void {
    const following = this.#following.get(id);
    if (following === undefined) return;
    this.#following.delete(id);
    if (following.hasOutcome) {
      following.follower.onLost();
      return;
    }
    // The supervisor, once it knows that the thread has ended, ends its claims.
    void following.claim.ended(ENDING_MS).then(() => {
      following.claim.revoke();
      following.follower.onOutcome({ kind: 'gone' });
    });
  }

  #onClose(): void {
    this.#isClosed = true;
    this.#onClosed();
    for (const { flow } of this.#followed.values()) flow.leave();
    this.#followed.clear();
    for (const id of [...this.#following.keys()]) this.#lose(id);
  }
}
