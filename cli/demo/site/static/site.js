// Shows how the page came: asks for it again, past the browser's own cache, and
// writes down what the CDN says about its answer.

const element = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

async function ask(path, options = {}) {
  const startedAt = performance.now();
  const response = await fetch(path, { cache: 'no-store', ...options });
  const tookMs = performance.now() - startedAt;
  return { response, tookMs };
}

async function askAgain() {
  const cells = [clock.format(new Date())];
  try {
    const { response, tookMs } = await ask(location.pathname + location.search);
    const age = response.headers.get('age');
    cells.push(String(response.status), `${Math.round(tookMs)} ms`, age === null ? '–' : `${age} s`);
    cells.push(response.headers.get('cache-status') ?? 'none: this answer met no cache');
  } catch (error) {
    cells.push('–', '–', '–', `no answer: ${error.message}`);
  }
  const row = document.createElement('tr');
  row.append(
    ...cells.map((text) => {
      const cell = document.createElement('td');
      cell.textContent = text;
      return cell;
    }),
  );
  element('asks').prepend(row);
  while (element('asks').children.length > 6) element('asks').lastElementChild.remove();
  await showOriginRequests();
}

async function showOriginRequests() {
  const { response } = await ask('/stats');
  element('origin-requests').textContent = String((await response.json()).requests);
}

function showGenerated() {
  const time = element('generated');
  const at = new Date(time.dateTime);
  time.textContent = clock.format(at);
  const tick = () => {
    element('generated-ago').textContent = ` (${Math.max(0, Math.round((Date.now() - at.getTime()) / 1000))} s ago)`;
  };
  tick();
  setInterval(tick, 1000);
}

async function showSource(output) {
  const { response, tookMs } = await ask(output.dataset.asks, { method: 'HEAD' });
  const tiers = response.headers.get('cache-status') ?? '';
  const answered = /(?:^|,)\s*"?([^";,\s]+)[^,]*;\s*hit\b/.exec(tiers);
  const source = answered ? `hit at ${answered[1]}` : 'from the origin';
  output.textContent = `${source}, ${Math.round(tookMs)} ms`;
  output.title = tiers;
}

const PARTS = {
  pictures() {
    for (const output of document.querySelectorAll('[data-asks]')) showSource(output);
  },

  film() {
    const film = element('film');
    for (const button of document.querySelectorAll('[data-jump]')) {
      button.addEventListener('click', () => {
        film.currentTime = Number(button.dataset.jump);
      });
    }
    element('ask-range').addEventListener('click', async () => {
      const { response } = await ask('/media/day.webm', { headers: { range: 'bytes=1000000-1000099' } });
      const { byteLength } = await response.arrayBuffer();
      const lines = ['GET /media/day.webm', 'Range: bytes=1000000-1000099', '', String(response.status)];
      for (const name of ['content-range', 'content-length', 'age', 'cache-status']) {
        lines.push(`${name}: ${response.headers.get(name)}`);
      }
      element('range-answer').textContent = `${lines.join('\n')}\n\n${byteLength} bytes`;
      element('range-answer').hidden = false;
    });
  },

  you() {
    const askMe = async () => {
      const { response } = await ask('/api/me');
      const me = JSON.stringify(await response.json(), undefined, 2);
      element('me').textContent = `${me}\n\nCache-Status: ${response.headers.get('cache-status') ?? 'none'}`;
    };
    element('ask-me').addEventListener('click', askMe);
    return askMe();
  },

  live() {
    const events = new EventSource('/events');
    events.addEventListener('message', (event) => {
      element('events').textContent = event.data;
    });
    addEventListener('pagehide', () => events.close());

    const echoes = element('echoes');
    const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/echo`);
    const say = (line) => {
      echoes.textContent = `${line}\n${echoes.textContent}`.split('\n').slice(0, 8).join('\n');
    };
    echoes.textContent = '';
    socket.addEventListener('open', () => say('connected'));
    socket.addEventListener('close', () => say('closed'));
    socket.addEventListener('message', (event) => say(`the origin says: ${event.data}`));
    element('echo').addEventListener('submit', (event) => {
      event.preventDefault();
      socket.send(new FormData(event.target).get('text'));
    });
  },
};

for (const button of document.querySelectorAll('[data-post]')) {
  button.addEventListener('click', async () => {
    const { response } = await ask(button.dataset.post, { method: 'POST' });
    element('switch').textContent = (await response.text()).trim();
  });
}

for (const link of document.querySelectorAll('nav a')) {
  if (link.pathname === location.pathname) link.setAttribute('aria-current', 'page');
}

showGenerated();
element('ask').addEventListener('click', askAgain);
await Promise.all([askAgain(), PARTS[document.body.dataset.page]?.()]);
