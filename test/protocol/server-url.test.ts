import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { credentialsIn, withoutCredentials } from '../../src/protocol/index.ts';

const scheme = fc.constantFrom('nats://', 'tls://', 'ws://', 'wss://', 'NATS://', '');
const host = fc.constantFrom('127.0.0.1:4222', '[::1]:4222', 'build-1', 'build-1.example.org:4222');
const secret = fc.string({ unit: 'grapheme', minLength: 1 });

describe('the credentials in the URL of a server', () => {
  test('are read as they were encoded, and what is left is the URL without them', () => {
    fc.assert(
      fc.property(scheme, secret, secret, host, (start, user, password, end) => {
        const url = `${start}${encodeURIComponent(user)}:${encodeURIComponent(password)}@${end}`;
        expect(credentialsIn(url)).toEqual({ user, password });
        expect(credentialsIn(`${start}${encodeURIComponent(user)}@${end}`)).toEqual({ token: user });
        expect(withoutCredentials(url)).toBe(`${start}${end}`);
      }),
    );
  });

  test('are taken out of a malformed URL too', () => {
    for (const url of ['nats://u:p/w@h:1', 'nats://u:p@w@h:1', 'http://u:p@h:1', 'u:p w@h:1'])
      expect(withoutCredentials(url)).toMatch(/^(nats:\/\/|http:\/\/)?h:1$/);
  });

  test('are absent where a URL has none', () => {
    expect(credentialsIn('nats://h:1')).toBeUndefined();
    expect(withoutCredentials('nats://h:1')).toBe('nats://h:1');
  });

  test('are refused where they are not percent-encoded, without being shown', () => {
    expect(() => credentialsIn('nats://u:50%@h:1')).toThrow(
      'the credentials in nats://h:1 are not percent-encoded',
    );
  });
});
