// @ts-check
// The licences of the packages whose code is in the bundle, with their notices, for a file that is shipped beside it.
// Promise: the build fails for a package whose licence text is not found.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.`;

/** Packages that come without a licence file: the notice is at the head of their sources. @type {Record<string, string>} */
const WITHOUT_FILE = {
  'yoga-layout': `MIT License\n\nCopyright (c) Meta Platforms, Inc. and affiliates.\n\n${MIT}`,
};
const FILE = /^(licen[cs]e|notice)([.-]|$)/i;

/**
 * The folders of the packages that a bundle has code of, sorted, from esbuild's metafile.
 * @param {import('esbuild').Metafile} metafile
 */
export function bundledPackages(metafile) {
  const inputs = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs));
  const folders = inputs.flatMap(input => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []);
  return [...new Set(folders)].sort();
}

/**
 * A text with the licences and notices of all these packages. Throws where there is none.
 * @param {readonly string[]} folders
 */
export function licensesText(folders) {
  const parts = folders.map(folder => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const files = readdirSync(folder).filter(file => FILE.test(file));
    const texts = files.map(file => readFileSync(join(folder, file), 'utf8').trim());
    if (texts.length === 0 && WITHOUT_FILE[name]) texts.push(WITHOUT_FILE[name]);
    if (texts.length === 0) throw new Error(`${name}: no licence file in ${folder}`);
    return `${name} ${version} (${license})\n\n${texts.join('\n\n')}\n`;
  });
  const line = `\n${'-'.repeat(80)}\n\n`;
  return `orch contains code of these packages, under their own licences.\n${line}${parts.join(line)}`;
}
