// 0
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted.some((value, at) => at > 0 && value - sorted[at - 1] < threshold);
}
// 1
  const groups = [];
  let depth = 0;
  let group = '';
  for (const character of parenstring.replace(/ /g, '')) {
    group += character;
    depth += character === '(' ? 1 : -1;
    if (depth === 0) {
      groups.push(group);
      group = '';
    }
  }
  return groups;
}
// 2
  return Number((number % 1).toFixed(10));
}
// 3
  let balance = 0;
  for (const operation of operations) {
    balance += operation;
    if (balance < 0) {
      return true;
    }
  }
  return false;
}
// 4
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  return numbers.reduce((sum, number) => sum + Math.abs(number - mean), 0) / numbers.length;
}
// 5
  return numbers.flatMap((number, at) => (at ? [delimeter, number] : [number]));
}
// 6
  return parenstring.split(' ').filter(Boolean).map((group) => {
    let depth = 0;
    let deepest = 0;
    for (const character of group) {
      depth += character === '(' ? 1 : -1;
      deepest = Math.max(deepest, depth);
    }
    return deepest;
  });
}
// 7
  return strings.filter((string) => string.includes(substring));
}
// 8
  return [numbers.reduce((a, b) => a + b, 0), numbers.reduce((a, b) => a * b, 1)];
}
// 9
  let largest = -Infinity;
  return numbers.map((number) => (largest = Math.max(largest, number)));
}
// 10
  for (let start = 0; start < string.length; start++) {
    const rest = string.slice(start);
    if (rest === [...rest].reverse().join('')) {
      return string + [...string.slice(0, start)].reverse().join('');
    }
  }
  return '';
}
// 11
  return [...a].map((bit, at) => (bit === b[at] ? '0' : '1')).join('');
}
// 12
  let found = null;
  for (const string of strings) {
    if (found === null || string.length > found.length) {
      found = string;
    }
  }
  return found;
}
// 13
  while (b) {
    [a, b] = [b, a % b];
  }
  return a;
}
// 14
  return [...string].map((_, at) => string.slice(0, at + 1));
}
// 15
  return Array.from({ length: n + 1 }, (_, number) => number).join(' ');
}
// 16
  return new Set(string.toLowerCase()).size;
}
// 17
  const beats = { 'o': 4, 'o|': 2, '.|': 1 };
  return musicstring.split(' ').filter(Boolean).map((note) => beats[note]);
}
// 18
  let times = 0;
  for (let at = string.indexOf(substring); at >= 0; at = string.indexOf(substring, at + 1)) {
    times++;
  }
  return times;
}
// 19
  const names = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
  return numbers.split(' ').filter(Boolean).sort((a, b) => names.indexOf(a) - names.indexOf(b)).join(' ');
}
// 20
  const sorted = [...numbers].sort((a, b) => a - b);
  let best = 1;
  for (let at = 2; at < sorted.length; at++) {
    if (sorted[at] - sorted[at - 1] < sorted[best] - sorted[best - 1]) {
      best = at;
    }
  }
  return [sorted[best - 1], sorted[best]];
}
// 21
  const least = Math.min(...numbers);
  const width = Math.max(...numbers) - least;
  return numbers.map((number) => (number - least) / width);
}
// 22
  return values.filter((value) => Number.isInteger(value));
}
// 23
  return string.length;
}
// 24
  let divisor = n - 1;
  while (n % divisor) {
    divisor--;
  }
  return divisor;
}
// 25
  const factors = [];
  for (let factor = 2; n > 1; factor++) {
    while (n % factor === 0) {
      factors.push(factor);
      n /= factor;
    }
  }
  return factors;
}
// 26
  return numbers.filter((number) => numbers.indexOf(number) === numbers.lastIndexOf(number));
}
// 27
  return [...string].map((one) => (one === one.toLowerCase() ? one.toUpperCase() : one.toLowerCase())).join('');
}
// 28
  return strings.join('');
}
// 29
  return strings.filter((string) => string.startsWith(prefix));
}
// 30
  return l.filter((number) => number > 0);
}
// 31
  for (let divisor = 2; divisor * divisor <= n; divisor++) {
    if (n % divisor === 0) {
      return false;
    }
  }
  return n > 1;
}
// 33
  const thirds = l.filter((_, at) => at % 3 === 0).sort((a, b) => a - b);
  return l.map((value, at) => (at % 3 ? value : thirds[at / 3]));
}
// 34
  return [...new Set(l)].sort((a, b) => a - b);
}
// 35
  return Math.max(...l);
}
// 36
  let count = 0;
  for (let number = 0; number < n; number++) {
    if (number % 11 === 0 || number % 13 === 0) {
      count += String(number).split('7').length - 1;
    }
  }
  return count;
}
// 37
  const evens = l.filter((_, at) => at % 2 === 0).sort((a, b) => a - b);
  return l.map((value, at) => (at % 2 ? value : evens[at / 2]));
}
// 39
  const isPrime = (number) => {
    for (let divisor = 2; divisor * divisor <= number; divisor++) {
      if (number % divisor === 0) {
        return false;
      }
    }
    return number > 1;
  };
  let [a, b] = [0, 1];
  while (n > 0) {
    [a, b] = [b, a + b];
    if (isPrime(a)) {
      n--;
    }
  }
  return a;
}
// 40
  return l.some((a, i) => l.some((b, j) => j > i && l.some((c, k) => k > j && a + b + c === 0)));
}
// 41
  return n * n;
}
// 42
  return l.map((number) => number + 1);
}
// 43
  return l.some((a, i) => l.some((b, j) => j > i && a + b === 0));
}
// 44
  return x.toString(base);
}
// 45
  return (a * h) / 2;
}
// 46
  const values = [0, 0, 2, 0];
  for (let at = 4; at <= n; at++) {
    values.push(values[at - 1] + values[at - 2] + values[at - 3] + values[at - 4]);
  }
  return values[n];
}
// 47
  const sorted = [...l].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
// 48
  return text === [...text].reverse().join('');
}
// 49
  let result = 1 % p;
  for (let step = 0; step < n; step++) {
    result = (2 * result) % p;
  }
  return result;
}
// 51
  return text.replace(/[aeiou]/gi, '');
}
// 52
  return l.every((number) => number < t);
}
// 53
  return x + y;
}
// 54
  const letters = (text) => [...new Set(text)].sort().join('');
  return letters(s0) === letters(s1);
}
// 55
  let [a, b] = [0, 1];
  for (let step = 0; step < n; step++) {
    [a, b] = [b, a + b];
  }
  return a;
}
// 56
  let depth = 0;
  for (const bracket of brackets) {
    depth += bracket === '<' ? 1 : -1;
    if (depth < 0) {
      return false;
    }
  }
  return depth === 0;
}
// 57
  const rises = l.every((value, at) => at === 0 || value >= l[at - 1]);
  const falls = l.every((value, at) => at === 0 || value <= l[at - 1]);
  return rises || falls;
}
// 58
  return [...new Set(l1)].filter((value) => l2.includes(value)).sort((a, b) => a - b);
}
// 59
  let largest = 1;
  for (let factor = 2; n > 1; factor++) {
    while (n % factor === 0) {
      largest = factor;
      n /= factor;
    }
  }
  return largest;
}
// 60
  return (n * (n + 1)) / 2;
}
// 61
  let depth = 0;
  for (const bracket of brackets) {
    depth += bracket === '(' ? 1 : -1;
    if (depth < 0) {
      return false;
    }
  }
  return depth === 0;
}
// 62
  return xs.map((factor, power) => factor * power).slice(1);
}
// 63
  const values = [0, 0, 1];
  for (let at = 3; at <= n; at++) {
    values.push(values[at - 1] + values[at - 2] + values[at - 3]);
  }
  return values[n];
}
// 64
  return (s.match(/[aeiou]|y$/gi) || []).length;
}
// 65
  const digits = String(x);
  if (shift > digits.length) {
    return [...digits].reverse().join('');
  }
  return digits.slice(digits.length - shift) + digits.slice(0, digits.length - shift);
}
// 66
  return [...s].filter((one) => /[A-Z]/.test(one)).reduce((sum, one) => sum + one.charCodeAt(0), 0);
}
// 67
  return s.match(/\d+/g).reduce((left, count) => left - Number(count), n);
}
// 68
  const evens = arr.filter((value) => value % 2 === 0);
  if (evens.length === 0) {
    return [];
  }
  const least = Math.min(...evens);
  return [least, arr.indexOf(least)];
}
// 69
  const fitting = lst.filter((value) => lst.filter((other) => other === value).length >= value);
  return fitting.length ? Math.max(...fitting) : -1;
}
// 70
  const left = [...lst].sort((a, b) => a - b);
  const result = [];
  while (left.length) {
    result.push(result.length % 2 ? left.pop() : left.shift());
  }
  return result;
}
// 71
  if (a + b <= c || a + c <= b || b + c <= a) {
    return -1;
  }
  const half = (a + b + c) / 2;
  return Number(Math.sqrt(half * (half - a) * (half - b) * (half - c)).toFixed(2));
}
// 72
  return q.reduce((sum, weight) => sum + weight, 0) <= w && q.every((weight, at) => weight === q[q.length - 1 - at]);
}
// 73
  let changes = 0;
  for (let at = 0; at < arr.length >> 1; at++) {
    if (arr[at] !== arr[arr.length - 1 - at]) {
      changes++;
    }
  }
  return changes;
}
// 74
  const count = (lst) => lst.join('').length;
  return count(lst1) <= count(lst2) ? lst1 : lst2;
}
// 75
  let factors = 0;
  for (let factor = 2; a > 1; factor++) {
    while (a % factor === 0) {
      factors++;
      a /= factor;
    }
  }
  return factors === 3;
}
// 76
  if (n === 1) {
    return x === 1;
  }
  let power = 1;
  while (power < x) {
    power *= n;
  }
  return power === x;
}
// 77
  return Math.round(Math.cbrt(a)) ** 3 === a;
}
// 78
  return [...num].filter((digit) => '2357BD'.includes(digit)).length;
}
// 79
  return `db${decimal.toString(2)}db`;
}
// 80
  for (let at = 0; at + 2 < s.length; at++) {
    if (new Set(s.slice(at, at + 3)).size < 3) {
      return false;
    }
  }
  return s.length >= 3;
}
// 81
  const bounds = [
    [3.7, 'A'], [3.3, 'A-'], [3.0, 'B+'], [2.7, 'B'], [2.3, 'B-'], [2.0, 'C+'],
    [1.7, 'C'], [1.3, 'C-'], [1.0, 'D+'], [0.7, 'D'], [0.0, 'D-'],
  ];
  return grades.map((grade) => {
    if (grade === 4) {
      return 'A+';
    }
    const found = bounds.find(([bound]) => grade > bound);
    return found ? found[1] : 'E';
  });
}
// 82
  const n = string.length;
  for (let divisor = 2; divisor * divisor <= n; divisor++) {
    if (n % divisor === 0) {
      return false;
    }
  }
  return n > 1;
}
// 83
  return n === 1 ? 1 : 18 * 10 ** (n - 2);
}
// 84
  return [...String(n)].reduce((sum, digit) => sum + Number(digit), 0).toString(2);
}
// 85
  return lst.filter((value, at) => at % 2 === 1 && value % 2 === 0).reduce((a, b) => a + b, 0);
}
// 86
  return s.split(' ').map((word) => [...word].sort().join('')).join(' ');
}
// 87
  return lst.flatMap((row, at) =>
    row.map((value, column) => [value, column]).reverse().filter(([value]) => value === x).map(([, column]) => [at, column]));
}
// 88
  const sorted = [...array].sort((a, b) => a - b);
  return array.length && (array[0] + array[array.length - 1]) % 2 === 0 ? sorted.reverse() : sorted;
}
// 89
  return s.replace(/[a-z]/g, (one) => String.fromCharCode(((one.charCodeAt(0) - 97 + 4) % 26) + 97));
}
// 90
  const sorted = [...new Set(lst)].sort((a, b) => a - b);
  return sorted.length > 1 ? sorted[1] : null;
}
// 91
  return s.split(/[.?!]\s*/).filter((sentence) => sentence.startsWith('I ')).length;
}
// 93
  return message.replace(/[a-z]/gi, (one) => {
    const swapped = one === one.toLowerCase() ? one.toUpperCase() : one.toLowerCase();
    return 'aeiou'.includes(one.toLowerCase()) ? String.fromCharCode(swapped.charCodeAt(0) + 2) : swapped;
  });
}
// 94
  const isPrime = (number) => {
    for (let divisor = 2; divisor * divisor <= number; divisor++) {
      if (number % divisor === 0) {
        return false;
      }
    }
    return number > 1;
  };
  const largest = Math.max(...lst.filter(isPrime));
  return [...String(largest)].reduce((sum, digit) => sum + Number(digit), 0);
}
// 95
  const keys = Object.keys(dict);
  const isLower = (key) => key === key.toLowerCase() && key !== key.toUpperCase();
  const isUpper = (key) => key === key.toUpperCase() && key !== key.toLowerCase();
  return keys.length > 0 && (keys.every(isLower) || keys.every(isUpper));
}
// 96
  const primes = [];
  for (let number = 2; number < n; number++) {
    if (primes.every((prime) => number % prime)) {
      primes.push(number);
    }
  }
  return primes;
}
// 97
  return Math.abs(a % 10) * Math.abs(b % 10);
}
// 98
  return [...s].filter((one, at) => at % 2 === 0 && 'AEIOU'.includes(one)).length;
}
// 99
  const number = Number(value);
  return Math.sign(number) * Math.round(Math.abs(number));
}
// 100
  return Array.from({ length: n }, (_, level) => n + 2 * level);
}
// 101
  return s.split(/[\s,]+/).filter(Boolean);
}
// 102
  const largest = y - (y % 2);
  return largest >= x ? largest : -1;
}
// 103
  if (n > m) {
    return -1;
  }
  const mean = (n + m) / 2;
  const down = Math.floor(mean);
  const rounded = mean - down === 0.5 ? down + (down % 2) : Math.round(mean);
  return `0b${rounded.toString(2)}`;
}
// 104
  return x.filter((number) => !/[02468]/.test(String(number))).sort((a, b) => a - b);
}
// 105
  const names = ['One', 'Two', 'Three', 'Four', 'Five', 'Six', 'Seven', 'Eight', 'Nine'];
  return arr.filter((value) => value >= 1 && value <= 9).sort((a, b) => b - a).map((value) => names[value - 1]);
}
// 106
  const result = [];
  let product = 1;
  let sum = 0;
  for (let i = 1; i <= n; i++) {
    product *= i;
    sum += i;
    result.push(i % 2 ? sum : product);
  }
  return result;
}
// 107
  const counts = [0, 0];
  for (let number = 1; number <= n; number++) {
    const digits = String(number);
    if (digits === [...digits].reverse().join('')) {
      counts[number % 2]++;
    }
  }
  return counts;
}
// 108
  return arr.filter((number) => {
    const digits = [...String(Math.abs(number))].map(Number);
    if (number < 0) {
      digits[0] = -digits[0];
    }
    return digits.reduce((a, b) => a + b, 0) > 0;
  }).length;
}
// 109
  const drops = arr.filter((value, at) => value > arr[(at + 1) % arr.length]);
  return drops.length <= 1;
}
// 110
  return [...lst1, ...lst2].filter((number) => number % 2 === 0).length >= lst1.length ? 'YES' : 'NO';
}
// 112
  const left = [...s].filter((one) => !c.includes(one));
  return [left.join(''), left.join('') === [...left].reverse().join('')];
}
// 113
  return lst.map((string) => {
    const count = [...string].filter((digit) => Number(digit) % 2).length;
    return 'the number of odd elements in the string i of the input.'
      .replace('elements in', `elements ${count}n`)
      .replace('string i', `str${count}ng ${count}`)
      .replace('input', `${count}nput`);
  });
}
// 114
  let least = Infinity;
  let ending = 0;
  for (const number of nums) {
    ending = Math.min(ending, 0) + number;
    least = Math.min(least, ending);
  }
  return least;
}
// 115
  return grid.reduce((sum, well) => sum + Math.ceil(well.reduce((a, b) => a + b, 0) / capacity), 0);
}
// 116
  const ones = (number) => Math.abs(number).toString(2).replace(/0/g, '').length;
  return [...arr].sort((a, b) => ones(a) - ones(b) || a - b);
}
// 117
  return s.split(' ').filter((word) => word && word.replace(/[aeiou]/gi, '').length === n);
}
// 118
  const isVowel = (at) => /[aeiou]/i.test(word[at]);
  for (let at = word.length - 2; at > 0; at--) {
    if (isVowel(at) && !isVowel(at - 1) && !isVowel(at + 1)) {
      return word[at];
    }
  }
  return '';
}
// 119
  const isGood = (text) => {
    let depth = 0;
    for (const bracket of text) {
      depth += bracket === '(' ? 1 : -1;
      if (depth < 0) {
        return false;
      }
    }
    return depth === 0;
  };
  return isGood(lst[0] + lst[1]) || isGood(lst[1] + lst[0]) ? 'Yes' : 'No';
}
// 120
  return [...arr].sort((a, b) => a - b).slice(arr.length - k);
}
// 121
  return lst.filter((value, at) => at % 2 === 0 && value % 2).reduce((a, b) => a + b, 0);
}
// 122
  return arr.slice(0, k).filter((value) => Math.abs(value) < 100).reduce((a, b) => a + b, 0);
}
// 123
  const odd = new Set([1]);
  while (n > 1) {
    if (n % 2) {
      odd.add(n);
    }
    n = n % 2 ? 3 * n + 1 : n / 2;
  }
  return [...odd].sort((a, b) => a - b);
}
// 124
  const parts = /^(\d\d)-(\d\d)-\d{4}$/.exec(date);
  if (!parts) {
    return false;
  }
  const days = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][Number(parts[1]) - 1];
  return days !== undefined && Number(parts[2]) >= 1 && Number(parts[2]) <= days;
}
// 125
  if (/\s/.test(txt)) {
    return txt.split(/\s+/);
  }
  if (txt.includes(',')) {
    return txt.split(',');
  }
  return [...txt].filter((one) => one >= 'a' && one <= 'z' && (one.charCodeAt(0) - 97) % 2).length;
}
// 126
  return lst.every((value, at) => (at === 0 || value >= lst[at - 1]) && (at < 2 || value !== lst[at - 2]));
}
// 127
  const length = Math.min(interval1[1], interval2[1]) - Math.max(interval1[0], interval2[0]);
  for (let divisor = 2; divisor * divisor <= length; divisor++) {
    if (length % divisor === 0) {
      return 'NO';
    }
  }
  return length > 1 ? 'YES' : 'NO';
}
// 128
  if (arr.length === 0) {
    return null;
  }
  const sign = arr.reduce((product, number) => product * Math.sign(number), 1);
  return sign * arr.reduce((sum, number) => sum + Math.abs(number), 0);
}
// 129
  const n = grid.length;
  let beside = Infinity;
  grid.forEach((row, y) => row.forEach((value, x) => {
    if (value === 1) {
      for (const [dy, dx] of [[0, 1], [1, 0], [0, -1], [-1, 0]]) {
        if (y + dy >= 0 && y + dy < n && x + dx >= 0 && x + dx < n) {
          beside = Math.min(beside, grid[y + dy][x + dx]);
        }
      }
    }
  }));
  return Array.from({ length: k }, (_, at) => (at % 2 ? beside : 1));
}
// 130
  const values = [1, 3];
  for (let at = 2; at <= n; at++) {
    values.push(at % 2 ? values[at - 1] + values[at - 2] + 1 + (at + 1) / 2 : 1 + at / 2);
  }
  return values.slice(0, n + 1);
}
// 131
  const odd = [...String(n)].map(Number).filter((digit) => digit % 2);
  return odd.length ? odd.reduce((a, b) => a * b, 1) : 0;
}
// 132
  return /\[.*\[.*\].*\]/.test(string);
}
// 133
  return lst.reduce((sum, number) => sum + Math.ceil(number) ** 2, 0);
}
// 134
  return /(^| )[a-z]$/i.test(txt);
}
// 135
  for (let at = arr.length - 1; at > 0; at--) {
    if (arr[at] < arr[at - 1]) {
      return at;
    }
  }
  return -1;
}
// 136
  const negative = lst.filter((number) => number < 0);
  const positive = lst.filter((number) => number > 0);
  return [negative.length ? Math.max(...negative) : null, positive.length ? Math.min(...positive) : null];
}
// 137
  const value = (one) => Number(String(one).replace(',', '.'));
  if (value(a) === value(b)) {
    return null;
  }
  return value(a) > value(b) ? a : b;
}
// 138
  return n >= 8 && n % 2 === 0;
}
// 139
  let factorial = 1;
  let result = 1;
  for (let number = 1; number <= n; number++) {
    factorial *= number;
    result *= factorial;
  }
  return result;
}
// 140
  return text.replace(/ {3,}/g, '-').replace(/ /g, '_');
}
// 141
  const digits = filename.replace(/\D/g, '').length;
  return digits <= 3 && /^[a-z][^.]*\.(txt|exe|dll)$/i.test(filename) ? 'Yes' : 'No';
}
// 142
  return lst.reduce((sum, number, at) => {
    if (at % 3 === 0) {
      return sum + number ** 2;
    }
    return sum + (at % 4 === 0 ? number ** 3 : number);
  }, 0);
}
// 143
  const isPrime = (number) => {
    for (let divisor = 2; divisor * divisor <= number; divisor++) {
      if (number % divisor === 0) {
        return false;
      }
    }
    return number > 1;
  };
  return sentence.split(' ').filter((word) => isPrime(word.length)).join(' ');
}
// 144
  const [a, b] = x.split('/').map(Number);
  const [c, d] = n.split('/').map(Number);
  return (a * c) % (b * d) === 0;
}
// 145
  const points = (number) => {
    const digits = [...String(Math.abs(number))].map(Number);
    if (number < 0) {
      digits[0] = -digits[0];
    }
    return digits.reduce((a, b) => a + b, 0);
  };
  return [...nums].sort((a, b) => points(a) - points(b));
}
// 146
  return nums.filter((number) => number > 10 && /^[13579](.*[13579])?$/.test(String(number))).length;
}
// 147
  const values = Array.from({ length: n }, (_, at) => (at + 1) * at + 1);
  let triples = 0;
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      for (let k = j + 1; k < n; k++) {
        if ((values[i] + values[j] + values[k]) % 3 === 0) {
          triples++;
        }
      }
    }
  }
  return triples;
}
// 148
  const planets = ['Mercury', 'Venus', 'Earth', 'Mars', 'Jupiter', 'Saturn', 'Uranus', 'Neptune'];
  const [first, second] = [planets.indexOf(planet1), planets.indexOf(planet2)];
  if (first < 0 || second < 0) {
    return [];
  }
  return planets.slice(Math.min(first, second) + 1, Math.max(first, second));
}
// 149
  const even = lst.filter((word) => word.length % 2 === 0);
  return even.sort((a, b) => a.length - b.length || (a < b ? -1 : Number(a > b)));
}
// 150
  for (let divisor = 2; divisor * divisor <= n; divisor++) {
    if (n % divisor === 0) {
      return y;
    }
  }
  return n > 1 ? x : y;
}
// 151
  return lst.filter((number) => number > 0 && number % 2 === 1).reduce((sum, number) => sum + number ** 2, 0);
}
// 152
  return game.map((score, at) => Math.abs(score - guess[at]));
}
// 153
  const strength = (name) => name.replace(/[^A-Z]/g, '').length - name.replace(/[^a-z]/g, '').length;
  const strongest = extensions.reduce((best, one) => (strength(one) > strength(best) ? one : best));
  return `${classname}.${strongest}`;
}
// 154
  return [...b].some((_, at) => a.includes(b.slice(at) + b.slice(0, at)));
}
// 155
  const counts = [0, 0];
  for (const digit of String(Math.abs(num))) {
    counts[Number(digit) % 2]++;
  }
  return counts;
}
// 156
  const symbols = [
    [1000, 'm'], [900, 'cm'], [500, 'd'], [400, 'cd'], [100, 'c'], [90, 'xc'], [50, 'l'],
    [40, 'xl'], [10, 'x'], [9, 'ix'], [5, 'v'], [4, 'iv'], [1, 'i'],
  ];
  let roman = '';
  for (const [value, symbol] of symbols) {
    while (number >= value) {
      roman += symbol;
      number -= value;
    }
  }
  return roman;
}
// 157
  const [short, middle, long] = [a, b, c].sort((x, y) => x - y);
  return short * short + middle * middle === long * long;
}
// 158
  const sorted = [...words].sort();
  return sorted.reduce((best, word) => (new Set(word).size > new Set(best).size ? word : best));
}
// 159
  const eaten = Math.min(need, remaining);
  return [number + eaten, remaining - eaten];
}
// 160
  const actions = {
    '**': (a, b) => a ** b,
    '*': (a, b) => a * b,
    '//': (a, b) => Math.floor(a / b),
    '+': (a, b) => a + b,
    '-': (a, b) => a - b,
  };
  const operators = [...operator];
  const values = [...operand];
  const apply = (at) => values.splice(at, 2, actions[operators.splice(at, 1)[0]](values[at], values[at + 1]));
  while (operators.includes('**')) {
    apply(operators.lastIndexOf('**'));
  }
  while (operators.some((one) => one === '*' || one === '//')) {
    apply(operators.findIndex((one) => one === '*' || one === '//'));
  }
  while (operators.length) {
    apply(0);
  }
  return values[0];
}
// 161
  if (!/[a-z]/i.test(s)) {
    return [...s].reverse().join('');
  }
  return s.replace(/[a-z]/gi, (one) => (one === one.toLowerCase() ? one.toUpperCase() : one.toLowerCase()));
}
// 162
  return text === '' ? null : require('crypto').createHash('md5').update(text).digest('hex');
}
// 163
  const [low, high] = [Math.min(a, b), Math.max(a, b)];
  return [2, 4, 6, 8].filter((digit) => digit >= low && digit <= high);
}
