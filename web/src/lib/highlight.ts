export interface Part {
    text: string;
    isFound: boolean;
}

/** Cuts a text where it was found. Places count characters; a string of JavaScript counts an emoji as two. */
export function parts(text: string, highlights: [start: number, length: number][]): Part[] {
    const letters = [...text];
    const cut: Part[] = [];
    let at = 0;
    const add = (end: number, isFound: boolean) => {
        const to = Math.min(end, letters.length);
        if (to > at) cut.push({ text: letters.slice(at, to).join(""), isFound });
        at = Math.max(at, to);
    };
    for (const [start, length] of [...highlights].sort(([one], [other]) => one - other)) {
        add(start, false);
        add(start + length, true);
    }
    add(letters.length, false);
    return cut;
}
