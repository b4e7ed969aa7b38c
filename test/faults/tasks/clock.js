// Loaded before a worker: shifts its clock by the milliseconds that a file names, now and whenever that changes.
import { readFileSync } from 'node:fs';

const file = process.env.FAULTS_CLOCK;
const RealDate = Date;
let byMs = 0;

globalThis.Date = class extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + byMs);
    else super(...given);
  }

  static now() {
    return RealDate.now() + byMs;
  }
};

function read() {
  try {
    byMs = Number(readFileSync(file, 'utf8')) || 0;
  } catch {
    byMs = 0;
  }
}

// The command line of a worker has it; other programs that a task starts do not need it.
if (file !== undefined) {
  read();
  setInterval(read, 200).unref();
}
